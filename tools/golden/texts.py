"""Our own sentences: what the tiny tokenizers learn from, and what the golden cases encode."""

TRAINING = """\
The harbour opens before sunrise, and the first boats leave while the lamps along the quay are still burning.
A search engine reads a question, looks for passages that may answer it, and puts the best passage first.
Ranking is the art of ordering: a good order saves the reader's time, a poor order hides the answer on page four.
The engineer wrote down every number, checked the sum twice, and kept the paper in a drawer for the next winter.
What is the boiling point of water on a mountain? It falls as the air grows thin, roughly one degree per 300 metres.
Does the library lend instruments? Yes, the violin on the second shelf may be borrowed for two weeks. No deposit is needed.
Is the answer yes or no? The judge said no, then yes, and finally that the question was badly put.
In 1987 the bridge carried 42 trains a day; by 2024 it carried 310, and nobody had widened it.
Les élèves préparent une fête près de la rivière; le café naïf de Zoé reste ouvert jusqu'à minuit.
Der Bäcker verkauft süße Brötchen, während die Straßenbahn über die Brücke fährt.
El niño pregunta cuántas estrellas caben en un año, y la señora responde que depende de la noche.
東京の朝は静かです。図書館は九時に開きます。本を読む人が多い。
今天天气很好，我们去河边看书，然后回家做饭。
Библиотека закрывается в восемь, а поезд уходит в девять.
مرحبا بكم في المكتبة. الباب مفتوح كل يوم ما عدا الجمعة.
The cell divides, the two halves drift apart, and the membrane between them closes like a door.
Retrieval finds candidates quickly; reranking reads each candidate with the query and gives it a relevance score.
def order(items): return sorted(items, key=lambda item: -item.score)  # highest score first
Query: which passages mention copper? Document: copper was carried from the hills to the harbour in small carts.
search_query: how old is the lighthouse; search_document: the lighthouse was built in the spring of 1861.
Represent this sentence for searching relevant passages: the orchard needs rain before the end of May.
Instruct: find the passages that answer the question. Judge whether the document meets the requirements of the query.
system user assistant query document think instruct passage classification separation text matching evidence
A vector has a length and a direction; two vectors that point the same way have a cosine of one.
The recipe calls for 250 g of flour, 3 eggs, a pinch of salt and 1.5 litres of milk (cold, not warm).
Hello world, said the program, and the world, being busy, did not reply.
""".splitlines()

LONG = (
    "When the survey of the old canal was finished the clerks counted 118 bridges, 42 locks and a single lighthouse, and "
    "they argued for a whole evening about whether a ferry with no ferryman should be listed as a bridge, as a boat, or "
    "not at all; the youngest clerk proposed to ask the ferryman, the oldest pointed out that this was the difficulty."
)

EMBED = [
    ("document", "hello world"),
    ("document", ""),
    ("query", "harbour"),
    ("document", "  leading and trailing white space \n"),
    ("document", "Café naïve à Zürich — 東京の図書館 🚀 مرحبا, Ωmega!"),
    ("query", "Which PASSAGE mentions copper (and salt) in 1861?"),
    ("query", ""),
    ("document", LONG),
]

# Queries stay below half of the models' windows: there, cutting the longer side first cuts documents only.
RERANK = [
    ("which passages mention copper?", "Copper was carried from the hills to the harbour in small carts."),
    ("which passages mention copper?", "The orchard needs rain before the end of May."),
    ("", "a document without a question"),
    ("a question without a document", ""),
    ("  où est le café ? ", "\tLe café de Zoé est près de la rivière 🚀.\n"),
    ("東京の図書館", "図書館は九時に開きます。"),
    ("how many locks has the canal", LONG + " " + LONG),
]
