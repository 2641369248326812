"""Words and wordings that `contrast.py` makes its sets of, with bars between them."""


def items(text):
    """What stands between the bars."""
    return [" ".join(item.split()) for item in text.split("|")]


SERVICES = items("""
backup service | mail gateway | photo archive | video call service | music subscription | parking permit |
gym membership | broadband line | mobile tariff | travel card | library card | web hosting plan |
object storage tier | managed database | payroll service | courier service | cleaning contract |
lift maintenance contract | home alarm | roadside assistance | pet insurance | dental insurance |
household insurance | travel insurance | extended warranty | rental agreement | lease of a van | car share |
bike hire | ski pass | theatre subscription | language course | evening class | day nursery place |
school lunch | meal kit | wine club | seed catalogue | newspaper subscription | translation service |
tax help desk | legal helpline | job board | ticket system | monitoring agent | build runner |
container registry | message queue | load balancer | firewall appliance | virtual desktop | print service |
scanner lease | conference room | coworking desk | warehouse slot | cold storage unit | freight forwarding |
ferry crossing | night train | airport lounge | hotel package | camp site | guided tour | museum pass
""")

FEATURES = items("""
weekend support | water damage | theft | lost luggage | night delivery | encryption | automatic updates |
a second driver | breakfast | parking | a static address | telephone support | on-site repair |
replacement devices | data recovery | foreign travel | accidental damage | hearing aids | physiotherapy |
glasses | orthodontics | emergency call-out | spare parts | installation | training | winter tyres |
a child seat | wireless access | tax advice | translation | priority boarding | cancellation | refunds |
storage of old versions | audit logs | single sign-on | two-factor login | custom domains | mobile apps |
exports to spreadsheets | offline use | multiple users | guest accounts | air conditioning | a fridge |
bed linen | towels | laundry | final cleaning | a deposit | pets | smoking | public holidays |
rural addresses | islands | bulky goods | hazardous goods | glass | batteries | fuel | insurance |
customs duties
""")

CONDS = items("""
asthma | migraine | gout | eczema | psoriasis | hay fever | anaemia | epilepsy | glaucoma | cataract |
arthritis | osteoporosis | high blood pressure | type 2 diabetes | coeliac disease | kidney stones |
gallstones | heartburn | sciatica | tendonitis | shingles | chickenpox | measles | mumps | tonsillitis |
bronchitis | pneumonia | sinusitis | insomnia | depression | vertigo | tinnitus | varicose veins |
haemorrhoids | acne | rosacea | ringworm | head lice | scabies | lactose intolerance
""")

DRUGS = items("""
alvoxin | beretal | cordexan | dumeprol | elantine | fostrazil | gelumab | hydropin | ivacet | jolitrem |
kelvexin | lumarone | mevatril | noristan | oxaprel | pentovil | quilomide | rexidine | solvatam |
tribenol | ursopram | velmodine | wexatrol | xaprolin | yttremol | zanuvert
""")

FOODS = items("""
nuts | eggs | milk | gluten | onions | garlic | mushrooms | tomatoes | shellfish | fish | pork | beef |
chicken | butter | cream | cheese | soy | sesame | mustard | celery | sugar | honey | chilli | coriander |
yeast | alcohol | raisins | coconut | lemon | vinegar
""")

DISHES = items("""
soup | stew | pie | salad | curry | casserole | flatbread | dumplings | risotto | pancakes | biscuits |
cake | pudding | porridge | omelette | pasta bake | stir-fry | tart | chutney | sandwich filling
""")

BRANDS = items("""
Acorra | Belvant | Corvid | Deltiq | Emberly | Farrow & Kin | Glenmoor | Hexaline | Ironbark |
Juniper Labs | Kestrel | Lumora | Marlowe | Nordvik | Orrin | Pellagio | Quenby | Ristora | Sable | Tamsin |
Umbra | Vantor | Wexley | Xenia | Yarrow | Zephyrine
""")

THINGS = items("""
vacuum cleaner | dishwasher | laptop | router | drill | lawn mower | bicycle | tent | sleeping bag |
printer | monitor | keyboard | washing machine | coffee machine | heat pump | solar panel | thermostat |
door lock | camera | hearing aid | wheelchair | treadmill | pressure cooker | toaster | fridge | boiler |
kettle | chainsaw | projector | tablet
""")

PLACES = items("""
Lisbon | Oslo | Kraków | Bergen | Ghent | Turin | Porto | Riga | Malmö | Graz | Bristol | Leeds | Cork |
Lyon | Seville | Basel | Utrecht | Aarhus | Tartu | Split | Quebec | Perth | Osaka | Nairobi | Lima |
Boston | Denver | Halifax | Cusco | Hanoi
""")

EVENTS = items("""
the software update | the first login | the audit | the operation | the meal | the exam | the move |
the delivery | the handover | the harvest | the inspection | the deadline | the trial period | the payment |
the vaccination | the storm | the merger | the backup | the restart | the migration | the interview |
the flight | the workout | the fasting period | the final coat of paint | the election | the renovation |
the training course
""")

ACTS = items("""
save the settings | take the tablet | sign the form | call the office | switch off the pump |
disconnect the cable | notify the customers | check the seals | rinse the filter | change the password |
export the records | lock the accounts | weigh the patient | drink a glass of water | open the valve |
take a photograph | print the label | apply the primer | ventilate the room | charge the battery |
file the report | inform the landlord | freeze the changes | measure the voltage | collect the badges |
stop the service | clear the cache | warm up the engine | wash the hands | read the meter
""")

SYSTEMS = items("""
PostgreSQL | MariaDB | SQLite | Redis | MongoDB | Oracle | Nginx | Apache | HAProxy | Docker | Podman |
Kubernetes | Nomad | Ubuntu | Debian | Fedora | Windows | macOS | Android | iOS | Python 2 | Python 3 |
Java | Kotlin | Go | Rust | Git | Subversion | Mercurial | Jenkins | GitLab | Ansible | Puppet | Salt |
Kafka | RabbitMQ | Elasticsearch | Solr | Grafana | Zabbix | Excel | LibreOffice | Outlook | Thunderbird |
Slack | Matrix | IMAP | POP3 | IPv4 | IPv6
""")

NUMBERS = [
    int(number)
    for number in items("""
2 | 3 | 4 | 5 | 6 | 7 | 8 | 10 | 12 | 14 | 15 | 18 | 20 | 24 | 25 | 28 | 30 | 36 | 40 | 45 | 48 | 50 | 60 |
72 | 75 | 80 | 90 | 100 | 120 | 150 | 180 | 200 | 250 | 300 | 365 | 400 | 500 | 750 | 1000
""")
]

# Wordings of passages (TEXTS) and of queries. A field with a capital letter begins a sentence.

FILL = items("""
Details are in the general terms. | The page was last reviewed in spring. |
Please keep the confirmation for your records. | Questions can be sent to the help desk. |
A form for this is on the customer portal. | Prices are shown including tax. |
This applies to new and existing customers. | Further notes are in the appendix. |
The team replies on working days. | Opening hours are listed at the entrance. |
The summary below is for orientation. | Staff can help with the first steps. |
The conditions were agreed with the supplier. | Changes are announced by mail. |
A printed copy is available on request. | The same rules hold at all sites. |
See the price list for other variants. | This note replaces the earlier one.
""")

HAS_TEXTS = items("""
{S} includes {f}. | {S} comes with {f}. | {S} covers {f}. | With {s}, {f} is part of the price. |
{F} is included in {s}. | Customers of {s} also get {f}. | {S}: {f} included at no extra cost. |
{S} provides {f}. | We offer {f} as part of {s}. | {F} belongs to the standard scope of {s}.
""")

HASNT_TEXTS = items("""
{S} does not include {f}. | {S} comes without {f}. | {S} excludes {f}. | {F} is not part of {s}. |
{F} is excluded from {s}. | {S} covers everything except {f}. | With {s}, there is no {f}. |
{S}: {f} must be bought separately. | {S} doesn't offer {f}. | No {f} is provided with {s}. |
{F} is left out of {s}. | {S} lacks {f}.
""")

HAS_QUERIES = items("""
{s} with {f} | {s} including {f} | which {s} covers {f}? | {s} that includes {f} | find a {s} offering {f} |
is there a {s} with {f}? | {f} included in {s}
""")

HASNT_QUERIES = items("""
{s} without {f} | {s} that does not include {f} | which {s} doesn't cover {f}? | {s} excluding {f} |
{s} with no {f} | {s} not covering {f} | looking for a {s} that leaves out {f} | {f} not included in {s} |
{s}, but no {f}
""")

NAMES = items("""
Basic | Plus | Classic | Light | Premium | Family | Compact | Standard | Gold | Blue | Starter | Complete
""")

FOOD_TEXTS = items("""
This {d} is made with {i}. | Ingredients for the {d}: {i}. | A {d} of {i}, ready in half an hour. |
For the {d} you need {i}.
""")

FOOD_QUERIES = items("""
{d} without {x} | {d} recipe with no {x} | {x}-free {d} | {d} that does not contain {x} | {d} but no {x} |
how to make {d} without using {x}
""")

BRAND_TEXTS = items("""
The {t} by {b} works quietly and is easy to clean. | {b} makes a {t} for small households. |
A {t} from {b}, tested over six weeks. | Review of the {b} {t}: solid and well made. |
{b}'s {t} is back in stock.
""")

BRAND_QUERIES = items("""
{t} not made by {x} | {t} from any brand except {x} | {t} other than {x} | {t}, not {x} |
which {t} is not from {x}? | {t} excluding {x} | alternatives to the {x} {t}
""")

PLACE_TEXTS = items("""
The {s} is available in {b}. | Our {s} has a branch in {b}. | {b}: {s} open all year. |
You can book the {s} in {b}. | The {s} started in {b} last year.
""")

PLACE_QUERIES = items("""
{s} outside {x} | {s} not in {x} | {s} anywhere except {x} | {s} other than in {x} |
which {s} is not in {x}? | {s} everywhere but {x}
""")

DRUG_TEXTS = items("""
{B} is used to treat {c}. | Doctors often prescribe {b} for {c}. | For {c}, {b} is taken once a day. |
{B} relieves {c} in most adults.
""")

DRUG_QUERIES = items("""
treatment of {c} other than {x} | {c} medicine that is not {x} | what helps against {c} except {x}? |
{c} treatment without {x} | alternatives to {x} for {c} | treat {c} without taking {x}
""")

BEFORE_TEXTS = items("""
Before {e}, {a}. | Please {a} before {e}. | {A} first; only then comes {e}. | {A} ahead of {e}. |
Prior to {e}, you should {a}.
""")

AFTER_TEXTS = items("""
After {e}, {a}. | Please {a} after {e}. | {A} once {e} is over. | Following {e}, you should {a}. |
{A} only when {e} has finished.
""")

BEFORE_QUERIES = items("""
what to do before {e}: {a}? | {a} before {e} | must I {a} prior to {e}? | {a} ahead of {e}
""")

AFTER_QUERIES = items("""
{a} after {e} | do I {a} following {e}? | should we {a} once {e} is over? | {a}, but only after {e}
""")

YEAR_TEXTS = items("""
The {b} {t} was built in {v}. | {b} launched its {t} in {v}. | This {t} by {b} dates from {v}. |
In {v}, {b} brought out the {t}.
""")

OLDER_QUERIES = items("""
{t} built before {y} | {b} {t} older than {y} | {t} launched earlier than {y} | {t} from before {y}
""")

NEWER_QUERIES = items("""
{t} built after {y} | {b} {t} newer than {y} | {t} launched later than {y} | {t} from after {y}
""")

NUMBER_QUERIES = items("""
{s} {p} | {lab} of {n} {u} for the {s} | {s} {n} {u} | which {s} is {p}? | {s} with a {lab} of {n} {u}
""")

LIMIT_QUERIES = items("""
{s} with a {lab} {c} {t} {u} | {s} {lab} {c} {t} {u} | {c} {t} {u}: {s} {lab}
""")

SYSTEM_TEXTS = items("""
This guide moves data from {x} to {y}. | Migrating from {x} to {y} takes one evening. |
Switching to {y} from {x}: a checklist. | How we replaced {x} with {y}. |
Convert {x} configurations into {y} format.
""")

SYSTEM_QUERIES = items("""
migrate from {x} to {y} | how to move from {x} to {y} | switch to {y} from {x} | replace {x} with {y} |
convert {x} to {y} | import {x} data into {y}
""")

TRAVEL_TEXTS = items("""
The night train leaves {x} and arrives in {y} at seven. | Flights from {x} to {y} run daily. |
Our coach goes to {y} from {x} twice a week. | Cycling from {x} to {y} in five days.
""")

TRAVEL_QUERIES = items("""
travel from {x} to {y} | {x} to {y} connection | how do I get to {y} from {x}? |
trips starting in {x} and ending in {y}
""")

DEAL_TEXTS = items("""
{x} has bought {y} for an undisclosed sum. | {x} sued {y} over a patent. | {x} supplies {y} with parts. |
{y} is now owned by {x}. | {x} outsold {y} last quarter.
""")

DEAL_QUERIES = items("""
did {x} buy {y}? | {x} lawsuit against {y} | {x} supplies {y} | {y} owned by {x} | {x} sold more than {y}
""")

ALLOWED_TEXTS = items("""
{w2}, you may {a}. | It is fine to {a} {w}. | Visitors can {a} {w}. | {A} {w} is permitted. |
You have to {a} {w}.
""")

FORBIDDEN_TEXTS = items("""
{w2}, you must not {a}. | It is forbidden to {a} {w}. | Nobody may {a} {w}. | {A} {w} is not permitted. |
Never {a} {w}.
""")

FORBIDDEN_QUERIES = items("""
when am I not allowed to {a} | not permitted: {a} {w} | is it forbidden to {a} {w}? | must not {a} {w}
""")

ALLOWED_QUERIES = items("""
may I {a} {w} | allowed to {a} {w} | is it fine to {a} {w}? | who can {a} {w}
""")

SUPPORT_TEXTS = items("""
{t} works with {x}. | {t} supports {x} out of the box. | You can run {t} on {x}. |
{t} is compatible with {x}. | {t} needs {x}. | {t} depends on {x}.
""")

NO_SUPPORT_TEXTS = items("""
{t} does not work with {x}. | {t} has no support for {x}. | You cannot run {t} on {x}. |
{t} is incompatible with {x}. | {t} runs without {x}. | {t} no longer needs {x}. |
Support for {x} was removed from {t}.
""")

NO_SUPPORT_QUERIES = items("""
software that does not support {x} | {t} without {x} | tools not compatible with {x} |
which programs don't need {x}? | run {t} without {x} | programs that can't be used with {x}
""")

SUPPORT_QUERIES = items("""
software that supports {x} | {t} with {x} | tools compatible with {x} | which programs work with {x}?
""")

EXCEPT_TEXTS = items("""
The {s} is offered for everything except {x}. | All but {x} can use the {s}. |
The {s} applies to all cases with the exception of {x}. | {X} is the only case not served by the {s}.
""")

INCLUDED_TEXTS = items("""
The {s} is offered for {l}. | {L} can use the {s}. | The {s} applies to {l}. | The {s} serves {l}.
""")

EXCEPT_QUERIES = items("""
{s} except {x} | {s} for everything but {x} | {s} with the exception of {x} | is {x} exempt from the {s}?
""")

INCLUDED_QUERIES = items("""
{s} for {x} | does the {s} apply to {x}? | {x} {s} | {s} available for {x}
""")

ASPECT_QUERIES = items("""
{t} {y}, not {x} | {y} of {t} and not the {x} | {t}: {y} without {x} | {t} {y} rather than {x} |
{t}, everything except {x} | about {t} but not its {x}
""")

SECTION_QUERIES = items("""
{p}: {a}, not {b} | {a} rather than {b} | {p} except {b} | {p} other than {b} | {p} {a} without {b} |
{p} but not {b}
""")

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

ASPECTS = [
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

FLIPS = [
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
