//! Bit for bit: a row's result depends neither on the other rows, nor on where it stands, nor on the threads.

mod common;

use common::{activated, every_isa, noise};
use elodex_kernels::{
    Activation, Attention, Epilogue, Kernels, PackedMatrix, Parallelism, Precision, RelativeBias, RopeTable,
};
use proptest::prelude::*;

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Runs `work` serially and on pools of one, two and three threads, and insists on the same bits.
#[expect(clippy::unwrap_used, reason = "a test without its pool cannot go on")]
fn on_any_threads(work: impl Fn(Parallelism) -> Vec<f32> + Sync) -> Vec<f32> {
    let serial = work(Parallelism::Serial);
    for threads in 1..=3 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let pooled = pool.install(|| work(Parallelism::Pool));
        assert_eq!(bits(&pooled), bits(&serial), "{threads} threads");
    }
    serial
}

fn linear(kernels: Kernels, a: &[f32], packed: &PackedMatrix, activation: Activation) -> Vec<f32> {
    let (n, k) = (packed.n(), packed.k());
    let m = a.len() / k;
    let bias = noise(n, 3);
    // The residual of a row must not depend on where the row stands either.
    let residual: Vec<f32> = a.chunks(k).flat_map(|row| (0..n).map(|column| row[column % k] * 0.5)).collect();
    let epilogue = Epilogue { bias: Some(&bias), activation, residual: Some(&residual) };
    on_any_threads(|parallelism| {
        let mut out = vec![f32::NAN; m * n];
        kernels.linear(a, m, packed, epilogue, &mut out, parallelism);
        out
    })
}

/// Weights that are bf16 take half the memory, and give what they give as f32.
#[test]
fn weights_of_16_bits_give_the_bits_of_f32() {
    for kernels in every_isa() {
        for (m, n, k) in [(1, 5, 3), (3, 70, 64), (17, 33, 97), (33, 40, 513), (50, 130, 1100)] {
            let weight: Vec<f32> = noise(n * k, 7)
                .into_iter()
                .map(|value| f32::from_bits(value.to_bits() & 0xffff_0000))
                .collect();
            let transposed: Vec<f32> = (0..k * n).map(|place| weight[place % n * k + place / n]).collect();
            let (halves, whole) = (
                kernels.pack(&weight, n, k),
                kernels.pack_transposed(&transposed, n, k, Parallelism::Serial),
            );
            assert!(halves.bytes() < whole.bytes() / 2 + 64, "{} of {}", halves.bytes(), whole.bytes());
            let a = noise(m * k, 11);
            let run = |packed| linear(kernels, &a, packed, Activation::Identity);
            assert_eq!(bits(&run(&halves)), bits(&run(&whole)), "{} [{m}, {k}] x {n}", kernels.isa());
        }
    }
}

fn activations() -> impl Strategy<Value = Activation> {
    prop_oneof![
        Just(Activation::Identity),
        Just(Activation::Gelu),
        Just(Activation::GeluTanh),
        Just(Activation::Silu),
        Just(Activation::Tanh),
    ]
}

/// Sequences that tell whether a sequence's result depends on its neighbours.
fn attention_of(kernels: Kernels, qkv: &[f32], offsets: &[usize], form: Form) -> Vec<f32> {
    let table = noise(form.heads * 61, 5);
    let bias = RelativeBias { table: &table, radius: 30 };
    let attention = Attention {
        qkv,
        offsets,
        heads: form.heads,
        kv_heads: form.kv_heads,
        head_dim: form.head_dim,
        scale: 0.2,
        precision: form.precision,
        causal: form.causal,
        window: form.window,
        relative_bias: form.biased.then_some(bias),
    };
    let tokens = offsets[offsets.len() - 1];
    on_any_threads(|parallelism| {
        let mut out = vec![f32::NAN; tokens * form.heads * form.head_dim];
        kernels.attention(&attention, &mut out, parallelism);
        out
    })
}

#[derive(Debug, Clone, Copy)]
struct Form {
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    causal: bool,
    window: Option<usize>,
    biased: bool,
    precision: Precision,
}

fn precisions() -> impl Strategy<Value = Precision> {
    prop_oneof![Just(Precision::F32), Just(Precision::Int8)]
}

/// Groups of 64 inputs, so that some weights have several.
fn pack(kernels: Kernels, precision: Precision, weight: &[f32], n: usize, k: usize) -> PackedMatrix {
    match precision {
        Precision::F32 => kernels.pack(weight, n, k),
        Precision::Int8 => PackedMatrix::quantise(weight, n, k, 64),
    }
}

fn forms() -> impl Strategy<Value = Form> {
    let heads = prop_oneof![Just((1, 1)), Just((2, 1)), Just((4, 2)), Just((3, 3))];
    let head_dim = prop_oneof![Just(32usize), Just(64), 1usize..40];
    let window = proptest::option::of(0usize..200);
    (heads, head_dim, any::<bool>(), window, any::<bool>(), precisions()).prop_map(
        |((heads, kv_heads), head_dim, causal, window, biased, precision)| Form {
            heads,
            kv_heads,
            head_dim,
            causal,
            window,
            biased,
            precision,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn linear_row_alone_is_the_row_in_any_batch(
        m in 1usize..70, n in 1usize..150, k in 1usize..1100, row in 0usize..70, activation in activations(),
        precision in precisions(),
    ) {
        let row = row % m;
        let a = noise(m * k, (m * k) as u64);
        let weight = noise(n * k, 2);
        for kernels in every_isa() {
            let packed = pack(kernels, precision, &weight, n, k);
            let together = linear(kernels, &a, &packed, activation);
            let alone = linear(kernels, &a[row * k..(row + 1) * k], &packed, activation);
            prop_assert_eq!(bits(&together[row * n..(row + 1) * n]), bits(&alone), "{}", kernels.isa());
        }
    }

    #[test]
    fn linear_output_is_the_same_among_any_outputs(
        n in 2usize..150, k in 1usize..600, cut in 1usize..150, precision in precisions(),
    ) {
        let cut = 1 + cut % (n - 1);
        let (a, weight) = (noise(5 * k, 1), noise(n * k, 2));
        for kernels in every_isa() {
            let plain = Epilogue { bias: None, activation: Activation::Gelu, residual: None };
            let outputs = |from: usize, to: usize| {
                let packed = pack(kernels, precision, &weight[from * k..to * k], to - from, k);
                let mut out = vec![0.0; 5 * (to - from)];
                kernels.linear(&a, 5, &packed, plain, &mut out, Parallelism::Serial);
                out
            };
            let (all, left, right) = (outputs(0, n), outputs(0, cut), outputs(cut, n));
            for row in 0..5 {
                let parts = [&left[row * cut..(row + 1) * cut], &right[row * (n - cut)..(row + 1) * (n - cut)]];
                prop_assert_eq!(bits(&all[row * n..(row + 1) * n]), bits(&parts.concat()), "{}", kernels.isa());
            }
        }
    }

    #[test]
    fn an_element_is_the_same_wherever_it_lies(
        values in proptest::collection::vec(-30f32..30.0, 1..70), activation in activations(),
    ) {
        for kernels in every_isa() {
            let together = activated(kernels, &values, activation);
            for (&value, &expected) in values.iter().zip(&together) {
                let alone = activated(kernels, &[value], activation);
                prop_assert_eq!(alone[0].to_bits(), expected.to_bits(), "{}", kernels.isa());
            }
        }
    }

    #[test]
    fn a_sequence_alone_is_the_sequence_in_any_batch(
        lengths in proptest::collection::vec(0usize..300, 1..5), form in forms(), chosen in 0usize..5,
    ) {
        let mut offsets = vec![0];
        for length in &lengths {
            offsets.push(offsets[offsets.len() - 1] + length);
        }
        let chosen = chosen % lengths.len();
        let row_width = (form.heads + 2 * form.kv_heads) * form.head_dim;
        let out_width = form.heads * form.head_dim;
        let qkv = noise(offsets[lengths.len()] * row_width, 4);
        let tokens = offsets[chosen]..offsets[chosen + 1];
        for kernels in every_isa() {
            let together = attention_of(kernels, &qkv, &offsets, form);
            let own = &qkv[tokens.start * row_width..tokens.end * row_width];
            let alone = attention_of(kernels, own, &[0, tokens.len()], form);
            let own = &together[tokens.start * out_width..tokens.end * out_width];
            prop_assert_eq!(bits(own), bits(&alone), "{}", kernels.isa());
        }
    }

    #[test]
    fn causal_rows_do_not_depend_on_later_tokens(length in 2usize..300, cut in 1usize..300, form in forms()) {
        // Values of 8-bit integers share scales with later ones.
        let form = Form { causal: true, precision: Precision::F32, ..form };
        let cut = 1 + cut % (length - 1);
        let row_width = (form.heads + 2 * form.kv_heads) * form.head_dim;
        let out_width = form.heads * form.head_dim;
        let qkv = noise(length * row_width, 6);
        for kernels in every_isa() {
            let whole = attention_of(kernels, &qkv, &[0, length], form);
            let prefix = attention_of(kernels, &qkv[..cut * row_width], &[0, cut], form);
            prop_assert_eq!(bits(&whole[..cut * out_width]), bits(&prefix), "{}", kernels.isa());
        }
    }

    #[test]
    fn row_kernels_do_not_depend_on_threads_or_rows(hidden in 1usize..500, rows in 1usize..400, row in 0usize..400) {
        let row = row % rows;
        let x = noise(rows * hidden, 7);
        let own = row * hidden..(row + 1) * hidden;
        let (weight, bias) = (noise(hidden, 8), noise(hidden, 9));
        for kernels in every_isa() {
            let layer = |x: &[f32]| on_any_threads(|parallelism| {
                let mut x = x.to_vec();
                kernels.layer_norm(&mut x, Some(&weight), Some(&bias), 1e-5, hidden, parallelism);
                x
            });
            prop_assert_eq!(bits(&layer(&x)[own.clone()]), bits(&layer(&x[own.clone()])), "{}", kernels.isa());
            let rms = |x: &[f32]| on_any_threads(|parallelism| {
                let mut x = x.to_vec();
                kernels.rms_norm(&mut x, &weight, 1e-5, hidden, parallelism);
                x
            });
            prop_assert_eq!(bits(&rms(&x)[own.clone()]), bits(&rms(&x[own.clone()])), "{}", kernels.isa());
            if hidden % 2 == 0 {
                let gate = |x: &[f32]| on_any_threads(|parallelism| {
                    let mut out = vec![0.0; x.len() / 2];
                    kernels.gate(x, hidden / 2, Activation::Silu, &mut out, parallelism);
                    out
                });
                let half = row * hidden / 2..(row + 1) * hidden / 2;
                prop_assert_eq!(bits(&gate(&x)[half]), bits(&gate(&x[own.clone()])), "{}", kernels.isa());
                let table = RopeTable::new(&weight[..hidden / 2], rows);
                let positions: Vec<u32> = (0..rows as u32).collect();
                let rope = |x: &[f32], positions: &[u32]| on_any_threads(|parallelism| {
                    let mut x = x.to_vec();
                    kernels.rope(&mut x, hidden, 1, hidden, hidden, positions, &table, parallelism);
                    x
                });
                let together = rope(&x, &positions);
                let alone = rope(&x[own.clone()], &positions[row..=row]);
                prop_assert_eq!(bits(&together[own.clone()]), bits(&alone), "{}", kernels.isa());
            }
        }
    }
}
