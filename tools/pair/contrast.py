#!/usr/bin/env python3
"""Makes contrast sets: a query whose operator (not, without, except, before, after, a number, a direction)
decides which of two nearly equal passages answers it.

    contrast.py --work DIR [--n 3600] [--seed 3]

DIR holds docs.jsonl and queries.jsonl of queries.py (real passages for the perturbed kinds).
Out: contrast.jsonl and contrast_dev.jsonl, {qid, kind, family, query, docs: [{id, text, teacher, label, role}]};
roles: fit, excluded, other. Dev holds words and query wordings that training never sees; the wording of the
passages is partly shared, so it flatters: judge by passages written elsewhere.
"""

import argparse, collections, json, os, random, re

SERVICES = "backup service,mail gateway,photo archive,video call service,music subscription,parking permit,gym membership,broadband line,mobile tariff,travel card,library card,web hosting plan,object storage tier,managed database,payroll service,courier service,cleaning contract,lift maintenance contract,home alarm,roadside assistance,pet insurance,dental insurance,household insurance,travel insurance,extended warranty,rental agreement,lease of a van,car share,bike hire,ski pass,theatre subscription,language course,evening class,day nursery place,school lunch,meal kit,wine club,seed catalogue,newspaper subscription,translation service,tax help desk,legal helpline,job board,ticket system,monitoring agent,build runner,container registry,message queue,load balancer,firewall appliance,virtual desktop,print service,scanner lease,conference room,coworking desk,warehouse slot,cold storage unit,freight forwarding,ferry crossing,night train,airport lounge,hotel package,camp site,guided tour,museum pass".split(
    ","
)
FEATURES = "weekend support,water damage,theft,lost luggage,night delivery,encryption,automatic updates,a second driver,breakfast,parking,a static address,telephone support,on-site repair,replacement devices,data recovery,foreign travel,accidental damage,hearing aids,physiotherapy,glasses,orthodontics,emergency call-out,spare parts,installation,training,winter tyres,a child seat,wireless access,tax advice,translation,priority boarding,cancellation,refunds,storage of old versions,audit logs,single sign-on,two-factor login,custom domains,mobile apps,exports to spreadsheets,offline use,multiple users,guest accounts,air conditioning,a fridge,bed linen,towels,laundry,final cleaning,a deposit,pets,smoking,public holidays,rural addresses,islands,bulky goods,hazardous goods,glass,batteries,fuel,insurance,customs duties".split(
    ","
)
CONDS = "asthma,migraine,gout,eczema,psoriasis,hay fever,anaemia,epilepsy,glaucoma,cataract,arthritis,osteoporosis,high blood pressure,type 2 diabetes,coeliac disease,kidney stones,gallstones,heartburn,sciatica,tendonitis,shingles,chickenpox,measles,mumps,tonsillitis,bronchitis,pneumonia,sinusitis,insomnia,depression,vertigo,tinnitus,varicose veins,haemorrhoids,acne,rosacea,ringworm,head lice,scabies,lactose intolerance".split(
    ","
)
DRUGS = "alvoxin,beretal,cordexan,dumeprol,elantine,fostrazil,gelumab,hydropin,ivacet,jolitrem,kelvexin,lumarone,mevatril,noristan,oxaprel,pentovil,quilomide,rexidine,solvatam,tribenol,ursopram,velmodine,wexatrol,xaprolin,yttremol,zanuvert".split(
    ","
)
FOODS = "nuts,eggs,milk,gluten,onions,garlic,mushrooms,tomatoes,shellfish,fish,pork,beef,chicken,butter,cream,cheese,soy,sesame,mustard,celery,sugar,honey,chilli,coriander,yeast,alcohol,raisins,coconut,lemon,vinegar".split(
    ","
)
DISHES = "soup,stew,pie,salad,curry,casserole,flatbread,dumplings,risotto,pancakes,biscuits,cake,pudding,porridge,omelette,pasta bake,stir-fry,tart,chutney,sandwich filling".split(
    ","
)
BRANDS = "Acorra,Belvant,Corvid,Deltiq,Emberly,Farrow & Kin,Glenmoor,Hexaline,Ironbark,Juniper Labs,Kestrel,Lumora,Marlowe,Nordvik,Orrin,Pellagio,Quenby,Ristora,Sable,Tamsin,Umbra,Vantor,Wexley,Xenia,Yarrow,Zephyrine".split(
    ","
)
THINGS = "vacuum cleaner,dishwasher,laptop,router,drill,lawn mower,bicycle,tent,sleeping bag,printer,monitor,keyboard,washing machine,coffee machine,heat pump,solar panel,thermostat,door lock,camera,hearing aid,wheelchair,treadmill,pressure cooker,toaster,fridge,boiler,kettle,chainsaw,projector,tablet".split(
    ","
)
PLACES = "Lisbon,Oslo,Kraków,Bergen,Ghent,Turin,Porto,Riga,Malmö,Graz,Bristol,Leeds,Cork,Lyon,Seville,Basel,Utrecht,Aarhus,Tartu,Split,Quebec,Perth,Osaka,Nairobi,Lima,Boston,Denver,Halifax,Cusco,Hanoi".split(
    ","
)
EVENTS = "the software update,the first login,the audit,the operation,the meal,the exam,the move,the delivery,the handover,the harvest,the inspection,the deadline,the trial period,the payment,the vaccination,the storm,the merger,the backup,the restart,the migration,the interview,the flight,the workout,the fasting period,the final coat of paint,the election,the renovation,the training course".split(
    ","
)
ACTS = "save the settings,take the tablet,sign the form,call the office,switch off the pump,disconnect the cable,notify the customers,check the seals,rinse the filter,change the password,export the records,lock the accounts,weigh the patient,drink a glass of water,open the valve,take a photograph,print the label,apply the primer,ventilate the room,charge the battery,file the report,inform the landlord,freeze the changes,measure the voltage,collect the badges,stop the service,clear the cache,warm up the engine,wash the hands,read the meter".split(
    ","
)
SYSTEMS = "PostgreSQL,MariaDB,SQLite,Redis,MongoDB,Oracle,Nginx,Apache,HAProxy,Docker,Podman,Kubernetes,Nomad,Ubuntu,Debian,Fedora,Windows,macOS,Android,iOS,Python 2,Python 3,Java,Kotlin,Go,Rust,Git,Subversion,Mercurial,Jenkins,GitLab,Ansible,Puppet,Salt,Kafka,RabbitMQ,Elasticsearch,Solr,Grafana,Zabbix,Excel,LibreOffice,Outlook,Thunderbird,Slack,Matrix,IMAP,POP3,IPv4,IPv6".split(
    ","
)
UNITS = [
    ("days", "cancelled within {} {}", "cancellation"),
    ("months", "guaranteed for {} {}", "guarantee"),
    ("hours", "answered within {} {}", "response time"),
    ("euros", "limited to {} {} per claim", "claim limit"),
    ("gigabytes", "capped at {} {} a month", "data allowance"),
    ("users", "licensed for {} {}", "user licence"),
    ("kilograms", "rated for loads of {} {}", "load rating"),
    ("weeks", "delivered within {} {}", "delivery time"),
    ("metres", "waterproof to {} {}", "depth rating"),
    ("degrees", "stored at {} {}", "storage temperature"),
    ("years", "open to people aged {} {} or more", "minimum age"),
    ("milligrams", "taken at {} {} a day", "daily dose"),
    ("watts", "limited to {} {}", "power"),
    ("minutes", "boiled for {} {}", "boiling time"),
    ("requests", "limited to {} {} per minute", "request limit"),
    ("seats", "sold with {} {}", "seating"),
]
FILL = [
    "Details are in the general terms.",
    "The page was last reviewed in spring.",
    "Please keep the confirmation for your records.",
    "Questions can be sent to the help desk.",
    "A form for this is on the customer portal.",
    "Prices are shown including tax.",
    "This applies to new and existing customers.",
    "Further notes are in the appendix.",
    "The team replies on working days.",
    "Opening hours are listed at the entrance.",
    "The summary below is for orientation.",
    "Staff can help with the first steps.",
    "The conditions were agreed with the supplier.",
    "Changes are announced by mail.",
    "A printed copy is available on request.",
    "The same rules hold at all sites.",
    "See the price list for other variants.",
    "This note replaces the earlier one.",
]
HAS = [
    "{S} includes {f}.",
    "{S} comes with {f}.",
    "{S} covers {f}.",
    "With {s}, {f} is part of the price.",
    "{F} is included in {s}.",
    "Customers of {s} also get {f}.",
    "{S}: {f} included at no extra cost.",
    "{S} provides {f}.",
    "We offer {f} as part of {s}.",
    "{F} belongs to the standard scope of {s}.",
]
HASNT = [
    "{S} does not include {f}.",
    "{S} comes without {f}.",
    "{S} excludes {f}.",
    "{F} is not part of {s}.",
    "{F} is excluded from {s}.",
    "{S} covers everything except {f}.",
    "With {s}, there is no {f}.",
    "{S}: {f} must be bought separately.",
    "{S} doesn't offer {f}.",
    "No {f} is provided with {s}.",
    "{F} is left out of {s}.",
    "{S} lacks {f}.",
]
Q_HAS = [
    "{s} with {f}",
    "{s} including {f}",
    "which {s} covers {f}?",
    "{s} that includes {f}",
    "find a {s} offering {f}",
    "is there a {s} with {f}?",
    "{f} included in {s}",
]
Q_HASNT = [
    "{s} without {f}",
    "{s} that does not include {f}",
    "which {s} doesn't cover {f}?",
    "{s} excluding {f}",
    "{s} with no {f}",
    "{s} not covering {f}",
    "looking for a {s} that leaves out {f}",
    "{f} not included in {s}",
    "{s}, but no {f}",
]


def up(s):
    return s[0].upper() + s[1:]


class Gen:
    def __init__(self, r, dev):
        self.r, self.dev = r, dev

    def half(self, words):
        """Dev keeps every sixth word of a list to itself."""
        return [w for i, w in enumerate(words) if (i % 6 == 5) == self.dev]

    def pick(self, words, k=None, sel=True):
        ws = self.half(words) if sel else words
        return self.r.choice(ws) if k is None else self.r.sample(ws, min(k, len(ws)))

    def tpl(self, words):
        return self.r.choice([w for i, w in enumerate(words) if (i % 4 == 3) == self.dev] or words)

    def wrap(self, key):
        f = self.r.sample(FILL, self.r.randint(0, 3))
        i = self.r.randint(0, len(f))
        f.insert(i, key)
        return " ".join(f)

    def name(self):
        return self.r.choice(
            [
                "Basic",
                "Plus",
                "Classic",
                "Light",
                "Premium",
                "Family",
                "Compact",
                "Standard",
                "Gold",
                "Blue",
                "Starter",
                "Complete",
            ]
        )

    def art(self, s):
        return ("the " + self.name() + " " + s) if self.r.random() < 0.6 else "our " + s

    def feature(self):
        r = self.r
        s, f = self.pick(SERVICES), self.pick(FEATURES)
        a, b = self.art(s), self.art(s)
        fill = lambda t, x: t.format(s=x, S=up(x), f=f, F=up(f))
        yes, no = self.wrap(fill(self.tpl(HAS), a)), self.wrap(fill(self.tpl(HASNT), b))
        g = self.pick([x for x in FEATURES if x != f])
        neg = r.random() < 0.68
        q = (self.tpl(Q_HASNT if neg else Q_HAS)).format(s=s, f=f)
        fit, ex = (no, yes) if neg else (yes, no)
        extra = []
        if neg and r.random() < 0.4:  # silent article: lists other features only
            fit2 = self.wrap(self.tpl(HAS).format(s=b, S=up(b), f=g, F=up(g)))
            if r.random() < 0.5:
                fit = fit2
            else:
                extra = [(fit2, 1.0)]
        return "feature", q, fit, ex, extra

    def silent(self):
        """Exclusion by silence: the fitting article names something else."""
        r = self.r
        k = r.randrange(4)
        if k == 0:
            d = self.pick(DISHES)
            xs = self.pick(FOODS, 4)
            bad = xs[0]
            rest = xs[1:]
            mk = lambda ings: self.wrap(
                r.choice(
                    [
                        "This {d} is made with {i}.",
                        "Ingredients for the {d}: {i}.",
                        "A {d} of {i}, ready in half an hour.",
                        "For the {d} you need {i}.",
                    ]
                ).format(d=d, i=", ".join(ings[:-1]) + " and " + ings[-1])
            )
            q = self.tpl(
                [
                    "{d} without {x}",
                    "{d} recipe with no {x}",
                    "{x}-free {d}",
                    "{d} that does not contain {x}",
                    "{d} but no {x}",
                    "how to make {d} without using {x}",
                ]
            ).format(d=d, x=bad)
            w = rest[:]
            w[r.randrange(len(w))] = bad
            fit = (
                mk(rest)
                if r.random() < 0.7
                else self.wrap(f"This {d} contains {rest[0]} and {rest[1]} but no {bad}.")
            )
            return "silent-food", q, fit, mk(w), []
        if k == 1:
            t = self.pick(THINGS)
            x, y = self.pick(BRANDS, 2)
            mk = lambda b: self.wrap(
                r.choice(
                    [
                        "The {t} by {b} works quietly and is easy to clean.",
                        "{b} makes a {t} for small households.",
                        "A {t} from {b}, tested over six weeks.",
                        "Review of the {b} {t}: solid and well made.",
                        "{b}'s {t} is back in stock.",
                    ]
                ).format(t=t, b=b)
            )
            q = self.tpl(
                [
                    "{t} not made by {x}",
                    "{t} from any brand except {x}",
                    "{t} other than {x}",
                    "{t}, not {x}",
                    "which {t} is not from {x}?",
                    "{t} excluding {x}",
                    "alternatives to the {x} {t}",
                ]
            ).format(t=t, x=x)
            return "silent-brand", q, mk(y), mk(x), []
        if k == 2:
            s = self.pick(SERVICES)
            x, y = self.pick(PLACES, 2)
            mk = lambda b: self.wrap(
                r.choice(
                    [
                        "The {s} is available in {b}.",
                        "Our {s} has a branch in {b}.",
                        "{b}: {s} open all year.",
                        "You can book the {s} in {b}.",
                        "The {s} started in {b} last year.",
                    ]
                ).format(s=s, b=b)
            )
            q = self.tpl(
                [
                    "{s} outside {x}",
                    "{s} not in {x}",
                    "{s} anywhere except {x}",
                    "{s} other than in {x}",
                    "which {s} is not in {x}?",
                    "{s} everywhere but {x}",
                ]
            ).format(s=s, x=x)
            return "silent-place", q, mk(y), mk(x), []
        c = self.pick(CONDS)
        x, y = self.pick(DRUGS, 2)
        mk = lambda b: self.wrap(
            r.choice(
                [
                    "{B} is used to treat {c}.",
                    "Doctors often prescribe {b} for {c}.",
                    "For {c}, {b} is taken once a day.",
                    "{B} relieves {c} in most adults.",
                ]
            ).format(b=b, B=up(b), c=c)
        )
        q = self.tpl(
            [
                "treatment of {c} other than {x}",
                "{c} medicine that is not {x}",
                "what helps against {c} except {x}?",
                "{c} treatment without {x}",
                "alternatives to {x} for {c}",
                "treat {c} without taking {x}",
            ]
        ).format(c=c, x=x)
        return "silent-drug", q, mk(y), mk(x), []

    def when(self):
        r = self.r
        a, e = self.pick(ACTS), self.pick(EVENTS)
        w = r.random() < 0.5
        mk = lambda before: self.wrap(
            r.choice(
                (
                    [
                        "Before {e}, {a}.",
                        "Please {a} before {e}.",
                        "{A} first; only then comes {e}.",
                        "{A} ahead of {e}.",
                        "Prior to {e}, you should {a}.",
                    ]
                    if before
                    else [
                        "After {e}, {a}.",
                        "Please {a} after {e}.",
                        "{A} once {e} is over.",
                        "Following {e}, you should {a}.",
                        "{A} only when {e} has finished.",
                    ]
                )
            ).format(a=a, A=up(a), e=e)
        )
        q = (
            self.tpl(
                [
                    "what to do before {e}: {a}?",
                    "{a} before {e}",
                    "must I {a} prior to {e}?",
                    "{a} ahead of {e}",
                ]
            )
            if w
            else self.tpl(
                [
                    "{a} after {e}",
                    "do I {a} following {e}?",
                    "should we {a} once {e} is over?",
                    "{a}, but only after {e}",
                ]
            )
        ).format(a=a, e=e)
        return "when", q, mk(w), mk(not w), []

    def year(self):
        r = self.r
        y = r.randint(1985, 2024)
        t = self.pick(THINGS)
        b = self.pick(BRANDS)
        before = r.random() < 0.5
        d1, d2 = y - r.randint(1, 9), y + r.randint(1, 9)
        mk = lambda v: self.wrap(
            r.choice(
                [
                    "The {b} {t} was built in {v}.",
                    "{b} launched its {t} in {v}.",
                    "This {t} by {b} dates from {v}.",
                    "In {v}, {b} brought out the {t}.",
                ]
            ).format(b=b, t=t, v=v)
        )
        q = (
            self.tpl(
                [
                    "{t} built before {y}",
                    "{b} {t} older than {y}",
                    "{t} launched earlier than {y}",
                    "{t} from before {y}",
                ]
            )
            if before
            else self.tpl(
                [
                    "{t} built after {y}",
                    "{b} {t} newer than {y}",
                    "{t} launched later than {y}",
                    "{t} from after {y}",
                ]
            )
        ).format(t=t, b=b, y=y)
        return "year", q, mk(d1 if before else d2), mk(d2 if before else d1), []

    def number(self):
        r = self.r
        u, p, lab = self.pick(UNITS, sel=not self.dev and True)
        s = self.pick(SERVICES if r.random() < 0.6 else THINGS)
        n = r.choice(
            [
                2,
                3,
                4,
                5,
                6,
                7,
                8,
                10,
                12,
                14,
                15,
                18,
                20,
                24,
                25,
                28,
                30,
                36,
                40,
                45,
                48,
                50,
                60,
                72,
                75,
                80,
                90,
                100,
                120,
                150,
                180,
                200,
                250,
                300,
                365,
                400,
                500,
                750,
                1000,
            ]
        )
        m = r.choice([x for x in (n + 1, n * 2, n * 3, max(1, n // 2), n + 10, n * 10, n + 5) if x != n])
        mk = lambda v: self.wrap(f"The {s} is {p.format(v, u)}.")
        x = r.random()
        if x < 0.6:
            q = self.tpl(
                [
                    "{s} {p}",
                    "{lab} of {n} {u} for the {s}",
                    "{s} {n} {u}",
                    "which {s} is {p}?",
                    "{s} with a {lab} of {n} {u}",
                ]
            ).format(s=s, p=p.format(n, u), n=n, u=u, lab=lab)
            fit, ex = n, m
        else:
            hi = r.random() < 0.5
            lo_, hi_ = min(n, m), max(n, m)
            if hi_ - lo_ < 2:
                hi_ += 4
            t = (lo_ + hi_) // 2
            q = self.tpl(
                ["{s} with a {lab} {c} {t} {u}", "{s} {lab} {c} {t} {u}", "{c} {t} {u}: {s} {lab}"]
            ).format(
                s=s,
                lab=lab,
                t=t,
                u=u,
                c=r.choice(["over", "above", "more than"] if hi else ["under", "below", "less than"]),
            )
            fit, ex = (hi_, lo_) if hi else (lo_, hi_)
        return "number", q, mk(fit), mk(ex), []

    def swap(self):
        r = self.r
        k = r.randrange(3)
        if k == 0:
            x, y = self.pick(SYSTEMS, 2)
            T = [
                "This guide moves data from {x} to {y}.",
                "Migrating from {x} to {y} takes one evening.",
                "Switching to {y} from {x}: a checklist.",
                "How we replaced {x} with {y}.",
                "Convert {x} configurations into {y} format.",
            ]
            Q = [
                "migrate from {x} to {y}",
                "how to move from {x} to {y}",
                "switch to {y} from {x}",
                "replace {x} with {y}",
                "convert {x} to {y}",
                "import {x} data into {y}",
            ]
        elif k == 1:
            x, y = self.pick(PLACES, 2)
            T = [
                "The night train leaves {x} and arrives in {y} at seven.",
                "Flights from {x} to {y} run daily.",
                "Our coach goes to {y} from {x} twice a week.",
                "Cycling from {x} to {y} in five days.",
            ]
            Q = [
                "travel from {x} to {y}",
                "{x} to {y} connection",
                "how do I get to {y} from {x}?",
                "trips starting in {x} and ending in {y}",
            ]
        else:
            x, y = self.pick(BRANDS, 2)
            T = [
                "{x} has bought {y} for an undisclosed sum.",
                "{x} sued {y} over a patent.",
                "{x} supplies {y} with parts.",
                "{y} is now owned by {x}.",
                "{x} outsold {y} last quarter.",
            ]
            i = r.randrange(5)
            t = T[i]
            q = [
                "did {x} buy {y}?",
                "{x} lawsuit against {y}",
                "{x} supplies {y}",
                "{y} owned by {x}",
                "{x} sold more than {y}",
            ][i].format(x=x, y=y)
            f = r.sample(FILL, 1)[0]
            return "swap", q, t.format(x=x, y=y) + " " + f, t.format(x=y, y=x) + " " + f, []
        t = self.tpl(T) if r.random() < 0.5 else None
        mk = lambda a, b: self.wrap((t or r.choice(T)).format(x=a, y=b))
        return "swap", self.tpl(Q).format(x=x, y=y), mk(x, y), mk(y, x), []

    def rule(self):
        r = self.r
        a = self.pick(ACTS)
        e = self.pick(EVENTS)
        w = r.choice(["during ", "throughout ", "in the week of "]) + e
        neg = r.random() < 0.5
        fm = lambda T: self.wrap(r.choice(T).format(a=a, A="To " + a, w=w, w2=up(w)))
        yes, no = (
            fm(
                [
                    "{w2}, you may {a}.",
                    "It is fine to {a} {w}.",
                    "Visitors can {a} {w}.",
                    "{A} {w} is permitted.",
                    "You have to {a} {w}.",
                ]
            ),
            fm(
                [
                    "{w2}, you must not {a}.",
                    "It is forbidden to {a} {w}.",
                    "Nobody may {a} {w}.",
                    "{A} {w} is not permitted.",
                    "Never {a} {w}.",
                ]
            ),
        )
        q = (
            self.tpl(
                [
                    "when am I not allowed to {a}",
                    "not permitted: {a} {w}",
                    "is it forbidden to {a} {w}?",
                    "must not {a} {w}",
                ]
            )
            if neg
            else self.tpl(
                ["may I {a} {w}", "allowed to {a} {w}", "is it fine to {a} {w}?", "who can {a} {w}"]
            )
        ).format(a=a, w=w)
        return "rule", q, (no if neg else yes), (yes if neg else no), []

    def support(self):
        r = self.r
        x = self.pick(SYSTEMS)
        t = self.pick(BRANDS)
        neg = r.random() < 0.55
        yes = self.wrap(
            r.choice(
                [
                    "{t} works with {x}.",
                    "{t} supports {x} out of the box.",
                    "You can run {t} on {x}.",
                    "{t} is compatible with {x}.",
                    "{t} needs {x}.",
                    "{t} depends on {x}.",
                ]
            ).format(t=t, x=x)
        )
        no = self.wrap(
            r.choice(
                [
                    "{t} does not work with {x}.",
                    "{t} has no support for {x}.",
                    "You cannot run {t} on {x}.",
                    "{t} is incompatible with {x}.",
                    "{t} runs without {x}.",
                    "{t} no longer needs {x}.",
                    "Support for {x} was removed from {t}.",
                ]
            ).format(t=t, x=x)
        )
        q = (
            self.tpl(
                [
                    "software that does not support {x}",
                    "{t} without {x}",
                    "tools not compatible with {x}",
                    "which programs don't need {x}?",
                    "run {t} without {x}",
                    "programs that can't be used with {x}",
                ]
            )
            if neg
            else self.tpl(
                [
                    "software that supports {x}",
                    "{t} with {x}",
                    "tools compatible with {x}",
                    "which programs work with {x}?",
                ]
            )
        ).format(x=x, t=t)
        return "support", q, (no if neg else yes), (yes if neg else no), []

    def listed(self):
        """Everything except one member."""
        r = self.r
        s = self.pick(SERVICES)
        xs = self.pick(FEATURES if r.random() < 0.5 else PLACES, 4)
        x, oth = xs[0], xs[1:]
        ex = self.wrap(
            r.choice(
                [
                    "The {s} is offered for everything except {x}.",
                    "All but {x} can use the {s}.",
                    "The {s} applies to all cases with the exception of {x}.",
                    "{X} is the only case not served by the {s}.",
                ]
            ).format(s=s, x=x, X=up(x))
        )
        inc = self.wrap(
            r.choice(
                [
                    "The {s} is offered for {l}.",
                    "{L} can use the {s}.",
                    "The {s} applies to {l}.",
                    "The {s} serves {l}.",
                ]
            ).format(s=s, l=", ".join(oth[:2]) + " and " + x, L=up(", ".join(oth[:2]) + " and " + x))
        )
        neg = r.random() < 0.6
        q = (
            self.tpl(
                [
                    "{s} except {x}",
                    "{s} for everything but {x}",
                    "{s} with the exception of {x}",
                    "is {x} exempt from the {s}?",
                ]
            )
            if neg
            else self.tpl(["{s} for {x}", "does the {s} apply to {x}?", "{x} {s}", "{s} available for {x}"])
        ).format(s=s, x=x)
        return "except", q, (ex if neg else inc), (inc if neg else ex), []


TYPES = [
    ("treatment", r"treat|therap"),
    ("symptoms", r"symptom|signs"),
    ("causes", r"cause"),
    ("diagnosis", r"diagnos|tests"),
    ("prevention", r"prevent"),
    ("genetic changes", r"genetic changes"),
    ("inheritance", r"inherited"),
    ("outlook", r"outlook"),
    ("risk factors", r"at risk"),
    ("number of people affected", r"how many people"),
]


def real(work, r, n_med, n_doc, n_num):
    docs = [json.loads(l) for l in open(os.path.join(work, "docs.jsonl"))]
    by = {d["id"]: d for d in docs}
    Q = [json.loads(l) for l in open(os.path.join(work, "queries.jsonl"))]
    out = []
    # health: another aspect of the topic than the one ruled out
    asp = collections.defaultdict(dict)
    for q in Q:
        if q["set"] == "health" and q["source"].startswith("m:") and q["kind"] == "question":
            for nm, p in TYPES:
                if re.search(p, q["query"], re.I):
                    asp[by[q["source"]]["title"]][nm] = q["source"]
                    break
    for t in sorted(asp):
        a = asp[t]
        ks = sorted(a)
        for x in ks:
            for y in ks:
                if x != y and len(out) < n_med:
                    q = r.choice(
                        [
                            "{t} {y}, not {x}",
                            "{y} of {t} and not the {x}",
                            "{t}: {y} without {x}",
                            "{t} {y} rather than {x}",
                            "{t}, everything except {x}",
                            "about {t} but not its {x}",
                        ]
                    ).format(t=t, x=x, y=y)
                    out.append(("aspect", q, by[a[y]]["text"], by[a[x]]["text"], []))
    # documentation: a sibling section, with one section ruled out
    grp = collections.defaultdict(list)
    for d in docs:
        if d["set"] == "docs" and " - " in d["title"]:
            p, h = d["title"].split(" - ", 1)
            grp[p].append((h, d))
    ks = sorted(k for k in grp if len({h for h, _ in grp[k]}) > 1)
    r.shuffle(ks)
    k0 = len(out)
    for k in ks:
        (h1, a), (h2, b) = r.sample(grp[k], 2)
        if h1 == h2 or len(out) - k0 >= n_doc or len(h2.split()) > 7 or len(h1.split()) > 7:
            continue
        q = r.choice(
            [
                "{p}: {a}, not {b}",
                "{a} rather than {b}",
                "{p} except {b}",
                "{p} other than {b}",
                "{p} {a} without {b}",
                "{p} but not {b}",
            ]
        ).format(p=k.lower(), a=h1.lower(), b=h2.lower())
        out.append(("section", q, a["title"] + " " + a["text"], b["title"] + " " + b["text"], []))
    # numbers, directions and polarity perturbed inside real passages
    pert = [d for d in docs]
    r.shuffle(pert)
    k1 = len(out)
    FL = [
        (r"\bbefore\b", "after"),
        (r"\bafter\b", "before"),
        (r"\bwith\b", "without"),
        (r"\bwithout\b", "with"),
        (r"\bincrease[sd]?\b", "decrease"),
        (r"\bmore than\b", "less than"),
        (r"\bless than\b", "more than"),
        (r"\benabled?\b", "disabled"),
        (r"\bmaximum\b", "minimum"),
        (r"\bminimum\b", "maximum"),
        (r"\bis not\b", "is"),
        (r"\bcannot\b", "can"),
        (r"\bcan be\b", "cannot be"),
        (r"\bdoes not\b", "does"),
        (r"\bmust be\b", "must not be"),
        (r"\bonly\b", "not only"),
        (r"\balways\b", "never"),
        (r"\ball\b", "no"),
        (r"\bsupports\b", "does not support"),
        (r"\bhigher\b", "lower"),
        (r"\blower\b", "higher"),
    ]
    for d in pert:
        if len(out) - k1 >= n_num:
            break
        ss = [s for s in re.split(r"(?<=[.!?])\s+(?=[A-Z])", d["text"]) if 8 <= len(s.split()) <= 26]
        r.shuffle(ss)
        for s in ss[:3]:
            nums = [m for m in re.finditer(r"\b\d{1,4}\b(?![.\d-])", s)]
            if nums and r.random() < 0.8:
                m = r.choice(nums)
                v = int(m.group())
                w = r.choice([v + 1, v * 2, v + 10, max(0, v - 1), v * 10])
                if w == v:
                    continue
                s2 = s[: m.start()] + str(w) + s[m.end() :]
            else:
                c = [(p, t) for p, t in FL if re.search(p, s)]
                if not c:
                    continue
                p, t = r.choice(c)
                s2 = re.sub(p, t, s, count=1)
            i = d["text"].find(s)
            if i < 0:
                continue
            # keep a window around the sentence so that the difference is within reach
            pre, post = d["text"][:i].split()[-25:], d["text"][i + len(s) :].split()[:30]
            mk = lambda x: " ".join(pre + [x] + post)
            q = s.rstrip(".") if r.random() < 0.5 else s
            out.append(("perturbed", q, mk(s), mk(s2), []))
            break
    return out


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--work", required=True)
    a.add_argument("--n", type=int, default=2500)
    a.add_argument(
        "--real", type=int, nargs=3, default=[350, 350, 700], metavar=("HEALTH", "DOCS", "PERTURBED")
    )
    a.add_argument("--seed", type=int, default=3)
    a = a.parse_args()
    pool = [(d["id"], d["text"]) for d in map(json.loads, open(os.path.join(a.work, "docs.jsonl")))]
    # target logits; contradicting passages stay above unrelated ones
    FIT, EXCL, OTHER = 2.5, -1.5, -5.0
    for dev in (False, True):
        r = random.Random(a.seed + dev)
        g = Gen(r, dev)
        rows = []
        fams = (
            [g.feature] * 5
            + [g.silent] * 7
            + [g.when] * 3
            + [g.year] * 2
            + [g.number] * 4
            + [g.swap] * 3
            + [g.rule] * 2
            + [g.support] * 2
            + [g.listed] * 2
        )
        n = 300 if dev else a.n
        rows = [r.choice(fams)() for _ in range(n)]
        if not dev:
            rows += real(a.work, r, *a.real)
        r.shuffle(rows)
        seen = set()
        k = 0
        gen = [x for x in rows if x[0] not in ("aspect", "section", "perturbed")]
        with open(os.path.join(a.work, "contrast_dev.jsonl" if dev else "contrast.jsonl"), "w") as f:
            for fam, q, fit, ex, extra in rows:
                if q in seen or fit == ex:
                    continue
                seen.add(q)
                p = f"{'cd' if dev else 'c'}{k}"
                k += 1
                if r.random() < 0.08:
                    q = up(q)
                excl = EXCL + (1.5 if fam == "perturbed" else 0.5 if fam in ("section", "aspect") else 0)
                D = [
                    dict(id=p + "-fit", text=fit, teacher=FIT, label=1, role="fit"),
                    dict(id=p + "-ex", text=ex, teacher=excl, label=0, role="excluded"),
                ]
                for j, (t, _) in enumerate(extra):
                    D.append(dict(id=f"{p}-fit{j}", text=t, teacher=FIT - 0.5, label=1, role="fit"))
                if r.random() < 0.5:
                    i, t = r.choice(pool)
                    D.append(dict(id=i, text=t, teacher=OTHER, label=0, role="other"))
                else:
                    x = r.choice(gen)
                    D.append(
                        dict(
                            id=f"{p}-oth",
                            text=x[2 + r.randrange(2)],
                            teacher=OTHER + 0.5,
                            label=0,
                            role="other",
                        )
                    )
                f.write(
                    json.dumps(dict(qid=p, kind="contrast", family=fam, query=q, docs=D), ensure_ascii=False)
                    + "\n"
                )
        print(dev, k, collections.Counter(x[0] for x in rows))


if __name__ == "__main__":
    main()
