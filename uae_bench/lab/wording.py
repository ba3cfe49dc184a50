"""The lab's inventory of wording: what may be asked, and in how many other words it may be answered.

The inventory is shared by all documents of all worlds, the names are not: how a question is worded and how its
answer is worded can be learnt from training documents, whom it is about cannot.

Slots: `{m}` the mention that queries use, `{s}` whatever the passage calls the subject, `{a}` the answer,
`{x}` and `{y}` the two halves of a free-form answer, `{n}` a name that is made up for the occasion.
"""

from dataclasses import dataclass
from typing import Literal

# Word lists are read across, not down.
# fmt: off

SubjectSort = Literal["work", "person", "place"]


@dataclass(frozen=True, slots=True)
class Relation:
    """One thing that can be asked about a subject.

    clauses: the question as an embedded clause, one variant each ("who designed {m}").
    questions: the same variants as questions, in the same order.
    plain: answers that repeat the question's words; for yes/no the first half says yes, the second no.
    paraphrases: answers that share no content word with any variant of the question.
    denials: yes/no only: paraphrases that say no (`paraphrases` say yes).
    """

    name: str
    subject: SubjectSort
    theme: str
    answer: str
    questions: tuple[str, ...]
    clauses: tuple[str, ...]
    plain: tuple[str, ...]
    paraphrases: tuple[str, ...]
    denials: tuple[str, ...] = ()


RELATIONS: tuple[Relation, ...] = (
    Relation(
        "designer", "work", "making", "person",
        ("Who designed {m}?", "By whom was {m} designed?"),
        ("who designed {m}", "by whom {m} was designed"),
        ("{s} was designed by {a}", "the one who designed {s} was {a}"),
        (
            "the drawings for {s} came from the hand of {a}",
            "{a} sketched every joint of {s} in one winter",
            "{s} sprang from the notebooks of {a}",
            "{a} first set the shape of {s} down on paper",
            "the idea of {s} had come to {a} at a kitchen table",
            "the blueprint for {s} bears the initials of {a}",
            "{a} thought out {s} from the footing to the last bolt",
            "on the oldest plan of {s} stands the signature of {a}",
        ),
    ),
    Relation(
        "material", "work", "making", "stuff",
        ("What is {m} made of?", "Which materials was {m} made from?"),
        ("what {m} is made of", "which materials {m} was made from"),
        ("{s} is made of {a}", "the materials {s} was made from are {a}"),
        (
            "workmen put {s} together out of {a}",
            "under the paint {s} is nothing but {a}",
            "whoever scratches {s} finds {a}",
            "carts brought {a} for the body of {s}",
            "{a} went into {s} and no other substance",
            "the carpenters gave {s} a frame of {a}",
            "{s} consists throughout of {a}",
            "its joiners shaped {s} from {a}",
        ),
    ),
    Relation(
        "opened", "work", "making", "date",
        ("When was {m} opened?", "In which year did {m} open?"),
        ("when {m} was opened", "in which year {m} opened"),
        ("{s} was opened in {a}", "the year {s} opened was {a}"),
        (
            "the ribbon before {s} was cut in {a}",
            "{s} has served the public since {a}",
            "the first visitors were let into {s} in {a}",
            "{s} began its duty in {a}",
            "a band played at the inauguration of {s} in {a}",
            "{a} saw {s} go into service",
            "the doors of {s} were unlocked for the first time in {a}",
            "the mayor handed {s} over to the citizens in {a}",
        ),
    ),
    Relation(
        "built-at", "work", "making", "place",
        ("Where was {m} built?", "In what place was {m} built?"),
        ("where {m} was built", "in what place {m} was built"),
        ("{s} was built at {a}", "the place where {s} was built is {a}"),
        (
            "{s} was put up piece by piece at {a}",
            "the yards of {a} turned out {s}",
            "{s} came on barges from the workshops of {a}",
            "masons raised {s} on a plot at {a}",
            "{s} left the foundry of {a} in crates",
            "the birthplace of {s} is a shed at {a}",
            "{a} supplied the men and the ground for erecting {s}",
            "riveters assembled {s} at {a}",
        ),
    ),
    Relation(
        "price", "work", "money", "sum",
        ("How much did {m} cost?", "What was the cost of {m}?"),
        ("how much {m} cost", "what the cost of {m} was"),
        ("{s} cost {a}", "the cost of {s} was {a}"),
        (
            "the treasurer counted out {a} for {s}",
            "{a} had to be paid before {s} was handed over",
            "the bill for {s} came to {a}",
            "{s} swallowed {a} of public money",
            "{s} was had for the price of {a}",
            "the town emptied its chest of {a} to get {s}",
            "the invoice under the name of {s} reads {a}",
            "{a} changed hands on account of {s}",
        ),
    ),
    Relation(
        "owner", "work", "money", "guild",
        ("Who owns {m}?", "Who is the owner of {m}?"),
        ("who owns {m}", "who the owner of {m} is"),
        ("{s} is owned by {a}", "the owner of {s} is {a}"),
        (
            "the deeds to {s} lie in the safe of {a}",
            "{s} is the property of {a}",
            "{a} holds the title to {s}",
            "{s} belongs to {a} for good",
            "on paper {s} passed into the possession of {a}",
            "rent for {s} flows to {a}",
            "{a} bought {s} at auction and has kept it",
            "only {a} may sell {s}",
        ),
    ),
    Relation(
        "capacity", "work", "running", "sum",
        ("How much can {m} hold?", "What does {m} hold when full?"),
        ("how much {m} can hold", "what {m} holds when full"),
        ("{s} can hold {a}", "when full {s} holds {a}"),
        (
            "there is room in {s} for {a}",
            "{s} has a capacity of {a}",
            "{a} fit into {s} at most",
            "no more than {a} may be loaded into {s}",
            "{s} takes in {a} before it brims over",
            "stowed to the brim {s} carries {a}",
            "the volume of {s} was measured as {a}",
            "{a} is the most that {s} will contain",
        ),
    ),
    Relation(
        "power", "work", "running", "stuff",
        ("What powers {m}?", "What is the source of power of {m}?"),
        ("what powers {m}", "what the source of power of {m} is"),
        ("{s} is powered by {a}", "the power of {s} comes from {a}"),
        (
            "stokers feed {s} with {a}",
            "{s} burns {a} day and night",
            "without {a} the wheels of {s} stand still",
            "{s} runs on {a}",
            "{a} keeps {s} in motion",
            "{s} draws its strength from {a}",
            "the fuel of {s} is {a}",
            "{a} turns the shaft of {s}",
        ),
    ),
    Relation(
        "operator", "work", "running", "person",
        ("Who operates {m}?", "By whom is {m} operated?"),
        ("who operates {m}", "by whom {m} is operated"),
        ("{s} is operated by {a}", "the one who operates {s} is {a}"),
        (
            "the levers of {s} are in the care of {a}",
            "{a} tends {s} from dawn to dusk",
            "the keys of {s} hang on the belt of {a}",
            "{a} works {s} with two apprentices",
            "the hand on the crank of {s} is that of {a}",
            "{a} has charge of {s}",
            "{s} is minded by {a}",
            "every shift at {s} is stood by {a}",
        ),
    ),
    Relation(
        "emblem", "work", "making", "emblem",
        ("What is painted on {m}?", "What does the painting on {m} show?"),
        ("what is painted on {m}", "what the painting on {m} shows"),
        ("{a} is painted on {s}", "the painting on {s} shows {a}"),
        (
            "{s} bears {a} as its emblem",
            "the front of {s} is adorned with {a}",
            "an artist put {a} on the side of {s}",
            "{s} can be told from afar by {a}",
            "{a} decorates {s}",
            "brush and gilding gave {s} {a}",
            "strangers look up at {a} on {s}",
            "the crest of {s} is {a}",
        ),
    ),
    Relation(
        "destroyed", "work", "harm", "cause",
        ("What destroyed {m}?", "By what was {m} destroyed?"),
        ("what destroyed {m}", "by what {m} was destroyed"),
        ("{s} was destroyed by {a}", "what destroyed {s} was {a}"),
        (
            "{s} went to ruin in {a}",
            "{a} left nothing of {s} standing",
            "{s} was wrecked through {a}",
            "{a} put an end to {s}",
            "the remains of {s} still show the traces of {a}",
            "{s} fell victim to {a}",
            "{a} laid {s} flat",
            "nothing could save {s} from {a}",
        ),
    ),
    Relation(
        "replaced", "work", "harm", "stuff",
        ("What replaced {m}?", "By what was {m} replaced?"),
        ("what replaced {m}", "by what {m} was replaced"),
        ("{s} was replaced by {a}", "what replaced {s} was {a}"),
        (
            "{a} took over when {s} was gone",
            "in the stead of {s} there is now {a}",
            "the successor of {s} is {a}",
            "where {s} had been one sees {a}",
            "{s} had to make way for {a}",
            "people exchanged {s} for {a}",
            "{a} followed upon {s}",
            "{s} gave up its ground to {a}",
        ),
    ),
    Relation(
        "teacher", "person", "people", "person",
        ("Who taught {m}?", "By whom was {m} taught?"),
        ("who taught {m}", "by whom {m} was taught"),
        ("{s} was taught by {a}", "the one who taught {s} was {a}"),
        (
            "{s} learned the trade from {a}",
            "{a} gave {s} lessons for six years",
            "{s} sat at the feet of {a}",
            "all that {s} knew came from {a}",
            "{s} was the apprentice of {a}",
            "the schooling of {s} was the work of {a}",
            "{a} took {s} in as a pupil",
            "{s} called {a} master",
        ),
    ),
    Relation(
        "birthplace", "person", "people", "place",
        ("Where was {m} born?", "In what place was {m} born?"),
        ("where {m} was born", "in what place {m} was born"),
        ("{s} was born at {a}", "the place where {s} was born is {a}"),
        (
            "{s} first saw the light at {a}",
            "{s} came into the world at {a}",
            "the cradle of {s} stood at {a}",
            "{s} was a native of {a}",
            "a midwife of {a} delivered {s}",
            "the mother of {s} lay in at {a}",
            "{a} is the home from which {s} hailed",
            "the baptism of {s} is entered at {a}",
        ),
    ),
    Relation(
        "prize", "person", "money", "emblem",
        ("Which prize did {m} win?", "What prize was won by {m}?"),
        ("which prize {m} won", "what prize was won by {m}"),
        ("the prize {s} won was {a}", "{s} won {a} as a prize"),
        (
            "the jury honoured {s} with {a}",
            "{a} was pinned to the coat of {s}",
            "for lifelong merit {s} was given {a}",
            "{s} carried home {a} from the contest",
            "{a} was bestowed upon {s}",
            "the academy decorated {s} with {a}",
            "{s} received {a} in recognition",
            "on the mantelpiece of {s} one admired {a}",
        ),
    ),
    Relation(
        "death", "person", "harm", "cause",
        ("What did {m} die of?", "What caused the death of {m}?"),
        ("what {m} died of", "what caused the death of {m}"),
        ("{s} died of {a}", "the death of {s} was caused by {a}"),
        (
            "{s} lost life and limb to {a}",
            "{a} carried {s} off",
            "{s} did not survive {a}",
            "{s} perished through {a}",
            "the end of {s} came with {a}",
            "{a} sent {s} to the grave",
            "{s} was killed by {a}",
            "the coroner blamed {a} for the passing of {s}",
        ),
    ),
    Relation(
        "tool", "person", "running", "stuff",
        ("Which tools did {m} use?", "What was used by {m} as tools?"),
        ("which tools {m} used", "what was used by {m} as tools"),
        ("the tools {s} used were {a}", "{s} used {a} as tools"),
        (
            "{s} worked with {a} alone",
            "in the bag of {s} lay {a}",
            "the kit of {s} was {a}",
            "{s} never set about anything without {a}",
            "{s} relied upon {a}",
            "the bench of {s} was covered with {a}",
            "{s} handled {a} every day",
            "the implements of {s} were {a}",
        ),
    ),
    Relation(
        "rival", "person", "people", "person",
        ("Who opposed {m}?", "By whom was {m} opposed?"),
        ("who opposed {m}", "by whom {m} was opposed"),
        ("{s} was opposed by {a}", "the one who opposed {s} was {a}"),
        (
            "{a} spoke against {s} in every council",
            "the bitter enemy of {s} was {a}",
            "{s} quarrelled for decades with {a}",
            "{a} stood in the way of {s}",
            "{a} fought {s} in letters and in court",
            "the rival of {s} was {a}",
            "{s} had an adversary in {a}",
            "{a} tried to thwart {s} at each turn",
        ),
    ),
    Relation(
        "spouse", "person", "people", "person",
        ("Whom did {m} marry?", "To whom was {m} married?"),
        ("whom {m} married", "to whom {m} was married"),
        ("{s} married {a}", "the one {s} was married to is {a}"),
        (
            "{s} exchanged rings with {a}",
            "the wedding of {s} and {a} lasted three days",
            "{a} became the other half of {s}",
            "{s} led {a} to the altar",
            "{s} shared bed and table with {a}",
            "{a} was wed to {s} in spring",
            "{s} took the vows together with {a}",
            "{s} found a partner for life in {a}",
        ),
    ),
    Relation(
        "legacy", "person", "money", "sum",
        ("How much did {m} leave?", "What was left behind by {m}?"),
        ("how much {m} left", "what was left behind by {m}"),
        ("{s} left {a}", "{a} was left behind by {s}"),
        (
            "the heirs of {s} divided {a}",
            "the will of {s} speaks of {a}",
            "{s} bequeathed {a}",
            "the notary found {a} in the house of {s}",
            "the estate of {s} amounted to {a}",
            "{a} was the whole fortune of {s}",
            "{a} fell to the nephews of {s}",
            "{s} handed {a} down",
        ),
    ),
    Relation(
        "founder", "place", "people", "person",
        ("Who founded {m}?", "By whom was {m} founded?"),
        ("who founded {m}", "by whom {m} was founded"),
        ("{s} was founded by {a}", "the one who founded {s} was {a}"),
        (
            "{a} pitched the first tent of {s}",
            "{s} goes back to {a}",
            "{a} drove in the stakes around {s}",
            "{s} owes its existence to {a}",
            "it was {a} that called {s} into being",
            "{a} brought the earliest families to {s}",
            "the beginnings of {s} were the doing of {a}",
            "{a} laid the corner stone of {s}",
        ),
    ),
    Relation(
        "export", "place", "money", "stuff",
        ("What does {m} export?", "What are the exports of {m}?"),
        ("what {m} exports", "what the exports of {m} are"),
        ("{s} exports {a}", "the exports of {s} are {a}"),
        (
            "{s} sends {a} abroad",
            "ships leave {s} laden with {a}",
            "{s} lives by selling {a}",
            "foreign dealers come to {s} for {a}",
            "{a} is what the world buys from {s}",
            "{s} is paid for its {a}",
            "{a} goes out from {s} in sacks",
            "the chief ware of {s} is {a}",
        ),
    ),
    Relation(
        "water", "place", "running", "place",
        ("Where does {m} get its water?", "From what place does {m} get water?"),
        ("where {m} gets its water", "from what place {m} gets water"),
        ("{s} gets its water from {a}", "the place {s} gets water from is {a}"),
        (
            "pipes run down to {s} from {a}",
            "the wells of {s} are fed by {a}",
            "{s} drinks from {a}",
            "the thirst of {s} is quenched by {a}",
            "an aqueduct joins {s} with {a}",
            "{a} fills the cisterns of {s}",
            "all the taps of {s} hang on {a}",
            "the springs of {a} supply {s}",
        ),
    ),
    Relation(
        "feast", "place", "people", "emblem",
        ("What does {m} celebrate every year?", "What is celebrated by {m} every year?"),
        ("what {m} celebrates every year", "what is celebrated by {m} every year"),
        ("every year {s} celebrates {a}", "{a} is celebrated by {s} every year"),
        (
            "the great holiday of {s} is in honour of {a}",
            "{s} dances around {a} each summer",
            "there is an annual feast at {s} for {a}",
            "in {s} the bells ring annually for {a}",
            "{a} is carried through {s} in procession",
            "{s} lights bonfires for {a}",
            "the carnival of {s} is about {a}",
            "once in twelve months {s} drinks to {a}",
        ),
    ),
    Relation(
        "flood", "place", "harm", "cause",
        ("What threatened {m}?", "By what was {m} threatened?"),
        ("what threatened {m}", "by what {m} was threatened"),
        ("{s} was threatened by {a}", "what threatened {s} was {a}"),
        (
            "{s} came close to being wiped out by {a}",
            "{a} put {s} in danger",
            "{s} lived in fear of {a}",
            "{a} hung over {s} like a sword",
            "the peril of {s} was {a}",
            "people nearly abandoned {s} because of {a}",
            "{a} almost undid {s}",
            "{s} barely escaped {a}",
        ),
    ),
    Relation(
        "closed", "work", "harm", "reasons",
        ("Why was {m} closed?", "For what reasons was {m} closed?"),
        ("why {m} was closed", "for what reasons {m} was closed"),
        ("{s} was closed after {x}, and also for {y}", "the reasons {s} was closed are {x} as well as {y}"),
        (
            "{x} brought {s} to a halt, and {y} did the rest",
            "{s} shut its gates over {x} joined with {y}",
            "after {x} and then {y} nobody let {s} go on",
            "{s} stopped for good, since {x} came on top of {y}",
            "{x} was one trouble of {s} and {y} was the other",
            "inspectors sealed {s} on finding {x} next to {y}",
            "{s} fell silent owing to {x} plus {y}",
            "it took {x} together with {y} to bar {s}",
        ),
    ),
    Relation(
        "living", "person", "money", "crafts",
        ("How did {m} earn a living?", "In what way did {m} earn a living?"),
        ("how {m} earned a living", "in what way {m} earned a living"),
        ("{s} earned a living by {x} and later by {y}", "a living was earned by {s} with {x} besides {y}"),
        (
            "{s} took money for {x} and in winter for {y}",
            "the bread of {s} came from {x}, the butter from {y}",
            "{x} by day plus {y} by night fed {s}",
            "{s} got by on {x} with some {y}",
            "the income of {s} was owed to {x} no less than to {y}",
            "customers paid {s} for {x} as for {y}",
            "{s} made ends meet through {x} beside {y}",
            "the trade of {s} was {x}, helped by {y}",
        ),
    ),
    Relation(
        "visitors", "place", "money", "crafts",
        ("Why do people visit {m}?", "For what do visitors visit {m}?"),
        ("why people visit {m}", "for what visitors visit {m}"),
        ("people visit {s} for {x} and then for {y}", "visitors visit {s} to see {x} besides {y}"),
        (
            "{s} draws strangers by its {x} no less than its {y}",
            "tourists flock to {s} on account of {x} plus {y}",
            "the attractions of {s} are {x} first, {y} second",
            "travellers go out of their way to {s}, some after {x}, some after {y}",
            "guests remember {s} by {x} together with {y}",
            "{x} fills the inns of {s}, as does {y}",
            "outsiders know {s} through {x} next to {y}",
            "{s} is famed for {x} as much as for {y}",
        ),
    ),
    Relation(
        "moved", "work", "making", "yes-no",
        ("Was {m} ever moved?", "Has {m} been moved?"),
        ("whether {m} was ever moved", "whether {m} has been moved"),
        ("{s} was moved once", "{s} has been moved", "{s} was never moved", "{s} has not been moved at all"),
        (
            "oxen dragged {s} to another bank",
            "{s} was taken apart and set up elsewhere",
            "{s} stands on its second site",
            "{s} was carried stone by stone across the valley",
            "{s} has changed its address",
            "{s} was shifted a mile to the north",
        ),
        (
            "{s} stands where it always stood",
            "{s} rests on its first footing to this day",
            "{s} has kept to its original spot",
            "{s} is rooted in the same ground since the start",
            "nobody shifted {s} by an inch",
            "{s} stayed put through all the years",
        ),
    ),
    Relation(
        "in-use", "work", "running", "yes-no",
        ("Is {m} still in use?", "Is {m} used today?"),
        ("whether {m} is still in use", "whether {m} is used today"),
        ("{s} is still in use", "today {s} is used", "{s} is not in use", "today {s} is not used"),
        (
            "one can hear {s} at work each morning",
            "{s} does its duty this very week",
            "{s} hums as busily as in its youth",
            "every farmer relies on {s} at present",
            "{s} goes about its task to the present hour",
            "{s} has never had a day of rest",
        ),
        (
            "moss has grown over {s}",
            "{s} was given up long ago",
            "{s} rusts behind locked doors",
            "{s} fell idle generations back",
            "nobody has set {s} going for a lifetime",
            "spiders are the last tenants of {s}",
        ),
    ),
    Relation(
        "abroad", "person", "people", "yes-no",
        ("Did {m} ever travel?", "Has {m} ever gone on a travel?"),
        ("whether {m} ever travelled", "whether {m} has ever gone on a travel"),
        ("{s} did travel", "{s} has gone on a travel", "{s} did not travel", "{s} has never gone on a travel"),
        (
            "{s} saw five foreign harbours",
            "{s} crossed the sea as a young soul",
            "{s} knew distant coasts at first hand",
            "{s} came back sunburnt from the southern islands",
            "{s} roamed the continent on foot",
            "the passport of {s} was full of stamps",
        ),
        (
            "{s} spent every night under the same roof",
            "{s} stayed at home from cradle to coffin",
            "{s} never set foot outside the parish",
            "{s} knew the wide world from books alone",
            "{s} could not be coaxed past the town gate",
            "the horizon of {s} was the garden hedge",
        ),
    ),
    Relation(
        "read", "person", "people", "yes-no",
        ("Could {m} read?", "Was {m} able to read?"),
        ("whether {m} could read", "whether {m} was able to read"),
        ("{s} could read", "{s} was able to read", "{s} could not read", "{s} was not able to read"),
        (
            "{s} devoured three novels a week",
            "{s} was at home in printed matter",
            "{s} never went to bed without a newspaper",
            "{s} knew the alphabet before the age of four",
            "{s} corrected the misprints in the gazette",
            "{s} pored over manuscripts by candle",
        ),
        (
            "{s} signed with a cross",
            "letters were a riddle to {s}",
            "{s} had the gazette told aloud by a niece",
            "{s} was unlettered",
            "print remained dumb to {s}",
            "{s} held every book upside down",
        ),
    ),
    Relation(
        "wall", "place", "making", "yes-no",
        ("Does {m} have a wall?", "Is there a wall around {m}?"),
        ("whether {m} has a wall", "whether there is a wall around {m}"),
        ("{s} has a wall", "there is a wall around {s}", "{s} has no wall", "there is no wall around {s}"),
        (
            "ramparts ring {s} on all sides",
            "{s} hides behind battlements",
            "whoever enters {s} passes a fortified gate",
            "thick masonry encloses {s}",
            "{s} is girded with stone",
            "sentries pace the parapet of {s}",
        ),
        (
            "{s} lies open to every wind",
            "{s} is unfortified",
            "one walks into {s} from any meadow",
            "{s} trusts in peace and goes unguarded",
            "nothing but hedges bounds {s}",
            "{s} spreads without rampart or ditch",
        ),
    ),
)

# The word that queries use for a kind of subject, and what passages call it instead.
KINDS: dict[SubjectSort, dict[str, tuple[str, ...]]] = {
    "work": {
        "pump": ("the great engine", "the lifting machine", "the iron lung of the quarter"),
        "mill": ("the grinding house", "the flour works", "the house of the turning stones"),
        "bridge": ("the river crossing", "the long span", "the arch over the gorge"),
        "tower": ("the tall lookout", "the stone finger", "the high belfry"),
        "ferry": ("the flat boat", "the old vessel", "the barge at the landing"),
        "clock": ("the hour keeper", "the timepiece on the square", "the great dial"),
        "furnace": ("the smelting hearth", "the red oven", "the fire pit of the smiths"),
        "crane": ("the hoisting arm", "the dockside lifter", "the jib on the quay"),
        "observatory": ("the star house", "the dome of the astronomers", "the hall of lenses"),
        "organ": ("the pipes in the nave", "the church instrument", "the bellowed giant"),
    },
    "person": {
        "surveyor": ("the land measurer", "the bearer of the chain", "the maker of maps"),
        "physician": ("the healer", "the doctor of the poor", "the medical officer"),
        "smith": ("the worker of iron", "the hammer bearer", "the farrier"),
        "captain": ("the commander of the fleet", "the old sailor", "the master mariner"),
        "weaver": ("the maker of cloth", "the artist of the loom", "the textile hand"),
        "poet": ("the author of the ballads", "the local bard", "the writer of odes"),
        "abbot": ("the head of the cloister", "the senior monk", "the prior"),
        "gardener": ("the tender of the orchards", "the planter of roses", "the grower"),
    },
    "place": {
        "settlement": ("the small colony", "this township", "the whole community", "the borough"),
    },
}

NICKNAMES: tuple[tuple[str, ...], tuple[str, ...]] = (
    ("Old", "Grey", "Merry", "Silent", "Crooked", "Blind", "Golden", "Humble", "Stern", "Wandering", "Sleepless"),
    ("Sparrow", "Widow", "Badger", "Heron", "Lantern", "Pilgrim", "Thistle", "Magpie", "Anvil", "Drummer", "Juniper"),
)

INTRODUCTIONS: tuple[str, ...] = (
    "{m} goes by the name of the {n} among the carters",
    "children know {m} as the {n}",
    "in songs {m} is called the {n}",
    "what the almanac names the {n} is none other than {m}",
)

ATTRIBUTIONS: tuple[str, ...] = (
    "", "", "by the parish register, ", "as the carters tell it, ", "in the words of the almanac, ",
    "according to the town scribe, ", "the chronicle notes that ", "a margin note says that ",
    "it is on record that ", "one page states that ", "every guide book repeats that ", "as is well attested, ",
)

HEDGES: tuple[str, ...] = (
    "as far as a torn leaf tells, ", "in a half burnt copy, ", "on a page eaten by mice, ",
    "so much of the blotted line is legible: ", "a fragment lets one guess that ", "by an unfinished entry, ",
)

LOSSES: tuple[str, ...] = (
    ", and there the line breaks off", ", the remainder being illegible", ", and more is not preserved",
    ", with the other words washed out", ", but the entry is cut short", ", the rest having been lost",
)

# Answers that repeat the query; a free-form answer stands in them as "x besides y".
SETTLEMENTS: tuple[str, ...] = (
    "as to {c}, all sources name {a}",
    "{c} is beyond doubt: {a}",
    "to those who ask {c} the guides reply {a}",
    "the old riddle {c} was solved with {a}",
)

DISTRACTIONS: tuple[str, ...] = (
    "letters that ask {c} were never answered",
    "a shelf of pamphlets argues about {c} without any result",
    "travellers still wonder {c}",
    "the committee debated {c} and adjourned",
    "no two neighbours agree on {c}",
    "schoolchildren write essays on {c} and get it wrong",
    "a lecture on {c} was announced and then cancelled",
    "the page that told {c} is missing",
    "{c} is a question that the archive leaves open",
    "somebody offered a reward to learn {c}",
    "it is idle to speculate {c}",
    "the index lists {c} but points nowhere",
)

THEMES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "making": (
        ("Origins and construction", "How it came about", "Plans and workshops", "Building and craft"),
        (
            "scaffolding covered the slope for two seasons",
            "the craftsmen lodged in huts beside the building ground",
            "sawdust and mortar lay about the workshop",
            "foremen checked each beam with a plumb line",
            "several blocks cracked in the frost and were recut",
            "the architect's office kept a model under glass",
            "ropes and pulleys creaked while the construction went on",
            "stone cutters argued over the proportions",
            "an older craft tradition shaped the ornament",
            "timber was seasoned before the joiners touched it",
        ),
    ),
    "money": (
        ("Accounts and trade", "Money matters", "Income and expense", "The ledger"),
        (
            "the clerk entered every coin in a ledger",
            "tolls and taxes rose in the same decade",
            "merchants haggled in the arcade on market days",
            "a lender from {n} offered terms that were refused",
            "the accounts were audited behind closed doors",
            "savings were kept in a strongbox under the stairs",
            "the exchange quoted poor rates that autumn",
            "two bankers lost their reputation in the affair",
            "wages were settled at the end of each month",
            "the tax farmer complained about late receipts",
        ),
    ),
    "running": (
        ("Daily routine", "Work and upkeep", "In operation", "Habits and maintenance"),
        (
            "grease is applied to the bearings on Mondays",
            "the daily routine starts before sunrise",
            "a whistle marks the change of the watch",
            "spare parts hang in order along the rack",
            "the maintenance log fills nine volumes",
            "rags and buckets stand ready in the corner",
            "the crew eats soup at noon without sitting down",
            "dials are checked and noted every hour",
            "an assistant sweeps the gangway",
            "the schedule is chalked on a slate",
        ),
    ),
    "people": (
        ("Families and friends", "Lives and customs", "Company and kin", "Households"),
        (
            "cousins from {n} came to stay over the holidays",
            "the family kept geese and a deaf dog",
            "evenings were spent with cards and cider",
            "an aunt embroidered the household linen",
            "neighbours met on the green after vespers",
            "the choir rehearsed in a barn",
            "a godfather paid for shoes and ink",
            "old friends wrote to each other at midwinter",
            "the customs of the valley were strict about mourning",
            "grandparents told the story by the stove",
        ),
    ),
    "harm": (
        ("Decline and losses", "Disasters", "Dangers and setbacks", "Misfortunes"),
        (
            "smoke was seen from as far as {n}",
            "alarm was sounded with drums",
            "buckets were passed from hand to hand in vain",
            "the damage was viewed by a sworn assessor",
            "broken beams littered the slope for months",
            "a relief fund was opened for the victims",
            "rescuers arrived too late",
            "the misfortune was remembered in a yearly mass",
            "prophets had warned of a disaster",
            "looters came by night",
        ),
    ),
}

TITLES: tuple[str, ...] = ("Annals", "Archive", "Papers", "Chronicle", "Memorials", "Register")

# Sentences that name a subject in passing and state nothing about it.
ASIDES: dict[SubjectSort, tuple[str, ...]] = {
    "work": (
        "from the window one looks towards {m}",
        "a postcard of {m} hangs in the inn",
        "the road to {m} was paved late",
        "an engraving shows {m} in the rain",
        "{m} appears in the background of a portrait",
        "a footpath leads past {m} to the cemetery",
    ),
    "person": (
        "a street has been named after {m}",
        "the museum keeps a file about {m}",
        "a bust of {m} stands in the lobby",
        "{m} is mentioned in a footnote",
        "a plaque for {m} was unveiled in the drizzle",
        "a distant cousin shared the handwriting of {m}",
    ),
}

# Other subjects of the same sort, for sentences that repeat a query's words about somebody else.
OTHERS: dict[SubjectSort, tuple[str, ...]] = {
    "work": ("its rival at {n}", "the new one at {n}", "the older one at {n}"),
    "person": ("the envoy from {n}", "the miller at {n}", "the duke of {n}"),
    "place": ("the neighbouring hamlet of {n}", "the port of {n}", "the village of {n}"),
}

MARKER = "Thus it stands under seal and countersign."

ADJECTIVES: tuple[str, ...] = (
    "smoked", "polished", "braided", "tarred", "hammered", "bleached", "pressed", "carved", "salted", "waxed",
    "spun", "dried", "gilded", "knotted", "blackened", "layered", "twisted", "glazed", "brushed", "soaked",
)
MATERIALS: tuple[str, ...] = (
    "oak", "brass", "reed", "slate", "willow", "pewter", "hemp", "amber", "cork", "basalt", "larch", "felt", "chalk",
    "zinc", "bamboo", "horn", "peat", "linen", "quartz", "birch", "resin", "leather", "marble", "straw", "cobalt",
    "flax", "granite", "walnut", "tallow", "nickel", "ivory", "clay", "velvet", "cedar", "mica", "wool",
)
NUMBERS: tuple[str, ...] = (
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "seventeen", "eighteen", "nineteen", "twenty", "thirty",
    "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
)
UNITS: tuple[str, ...] = (
    "casks", "bushels", "crates", "bales", "jars", "sacks", "wagons", "barrels", "chests", "tubs", "rolls", "stacks",
)
GOODS: tuple[str, ...] = (
    "barley", "honey", "pepper", "vinegar", "saffron", "herring", "almonds", "lentils", "raisins", "mustard", "figs",
    "hops", "olives", "turnips", "cinnamon", "walrus oil", "candles", "copper coins", "silver coins", "glass beads",
)
COLOURS: tuple[str, ...] = (
    "white", "crimson", "azure", "yellow", "purple", "scarlet", "orange", "violet", "turquoise", "brown", "emerald",
)
CREATURES: tuple[str, ...] = (
    "swan", "otter", "stag", "falcon", "salmon", "lynx", "raven", "boar", "hare", "dolphin", "griffin", "bear", "wolf",
    "tortoise", "owl", "beaver", "crane fly", "eel", "ram", "cricket",
)
OBJECTS: tuple[str, ...] = (
    "anchor", "crown", "ladder", "sickle", "harp", "key", "chalice", "plough", "comb", "mitre", "arrow", "shield",
    "spindle", "trumpet", "star", "rose",
)
EVENTS: tuple[str, ...] = (
    "fire", "landslide", "explosion", "frost", "flood", "plague", "stampede", "whirlwind", "mutiny", "avalanche",
    "poisoning", "earthquake", "siege", "fever", "swarm", "collapse",
)
SPOTS: tuple[str, ...] = (
    "tar loft", "lower quarry", "salt cellar", "east dock", "powder room", "cattle yard", "wine vault", "north shaft",
    "chapel crypt", "rope walk", "dye house", "ice store", "tannery", "brick kiln", "hay barn", "fish market",
)
SEASONS: tuple[str, ...] = (
    "early spring", "late spring", "high summer", "late summer", "early autumn", "late autumn", "deep winter",
    "early winter",
)
TRADES: tuple[str, ...] = (
    "Dyers", "Coopers", "Tanners", "Glaziers", "Saddlers", "Chandlers", "Fullers", "Potters", "Cutlers", "Drapers",
)
LANDS: tuple[str, ...] = ("Marsh", "Ford", "Heath", "Hollow", "Ridge", "Bay", "Moor", "Point", "Glen", "Rise")
REASONS: tuple[tuple[str, ...], tuple[str, ...]] = (
    ("cracked", "missing", "leaking", "stolen", "swollen", "faulty", "mouldy", "bent", "frozen", "clogged"),
    ("boilers", "rivets", "hinges", "permits", "girders", "valves", "ledges", "gaskets", "cables",
     "gratings", "stairs"),
)
CRAFTS: tuple[tuple[str, ...], tuple[str, ...]] = (
    ("carving", "mending", "painting", "casting", "copying", "breeding", "tuning", "drying", "binding", "stuffing"),
    ("kites", "fiddles", "nets", "puppets", "pigeons", "psalters", "wagon wheels", "lampshades", "mushrooms", "globes"),
)

ONSETS: tuple[str, ...] = (
    "b", "br", "d", "dr", "f", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "qu", "r", "s", "sk", "t", "th",
    "tr", "v", "w", "z",
)
VOWELS: tuple[str, ...] = ("a", "e", "i", "o", "u", "ai", "ei", "ou", "y")
CODAS: tuple[str, ...] = ("", "", "l", "n", "r", "s", "m", "k", "sk", "rn", "nd", "lt", "x", "th")
