"""Word lists of everyday workplace English, for the embedded generator. No policy's own words stand here."""


def _items(text: str) -> tuple[str, ...]:
    """ "a|b\n c" -> ("a", "b c")."""
    return tuple(" ".join(item.split()) for item in text.split("|"))


AUXILIARIES = frozenset(
    """
    must may can will shall should would could might is are was were am has have had do does did cannot mustn't
    can't won't isn't aren't don't doesn't hasn't haven't shouldn't
    """.split()
)

VERBS = frozenset(
    """
    accept accompany accrue accumulate acknowledge acquire act add address adhere adjust administer advise
    affect agree aim allow amend announce appeal apply appoint approve arise arrange ask assess assign assist
    assume attach attend authorize authorise award bear become begin belong benefit borrow bring calculate call
    cancel carry cause cease certify change charge check choose claim collect combine come comply complete
    concern conduct confirm consist constitute consult contact contain continue contribute convert cost count
    cover create credit deal decide declare decline deduct define delay deliver demonstrate deny depend describe
    designate determine disclose discuss dispose distribute document donate draw earn elect email encourage end
    enjoy enrol enroll ensure enter entitle escalate establish evaluate exceed exclude exempt exercise exist
    expect expire explain extend face fail fall file fill find finish follow forbid forfeit forward fund gain
    get give go govern grant guarantee handle happen hire hold identify implement impose include increase incur
    indicate inform initiate inspect intend interview invite involve issue join keep know lapse last lead leave
    let limit list live log lose maintain make manage mark match mean meet monitor move name need negotiate note
    notify observe obtain occur offer open operate order outline oversee owe own participate pass pay perform
    permit place plan post prefer prepare present prevent process produce prohibit promise promote protect
    provide publish purchase qualify raise reach receive recognize recognise recommend record recover reduce
    refer refund refuse regard register reimburse reject relate release rely remain remind remove renew repay
    replace report represent request require reserve resign resolve respect respond rest result resume retain
    return review revoke roll run sanction satisfy say schedule secure see seek select sell send serve set
    settle share show sign specify spend split start state stay stop store strive submit succeed suffer suggest
    supply support suspend take tell terminate track train transfer travel treat trigger turn undergo understand
    undertake update use vary verify vest visit waive want warn wear withdraw withhold work write
    """.split()
)

IRREGULAR_PAST = {
    "began": "begin", "bore": "bear", "brought": "bring", "chose": "choose", "gave": "give", "held": "hold",
    "kept": "keep", "left": "leave", "made": "make", "met": "meet", "paid": "pay", "received": "receive",
    "said": "say", "sent": "send", "took": "take", "told": "tell", "went": "go", "wrote": "write",
}  # fmt: skip

STAFF = frozenset(
    _items("""employees|an employee|the employee|all employees|each employee|every employee|any employee|staff|all staff|staff
    members|a staff member|members of staff|workers|a worker|you|eligible employees|an eligible employee|team members|a
    team member|full-time employees|a full-time employee|colleagues|personnel|individuals|an individual|everyone|employees
    and managers|all team members|a member of staff|the staff member""")
)

ORGANISATION = frozenset(
    _items("we|the company|the organisation|the organization|the employer|the foundation|the agency|our company")
)

ROLE_WORDS = frozenset(
    """
    manager managers supervisor supervisors director directors officer officers team department head hr payroll
    partner committee board administrator coordinator lead leader president ceo cfo coo chief executive
    secretary approver recipient donor physician doctor provider counsel lawyer auditor owner trustee panel
    office agency division finance representative specialist ombudsman steward delegate custodian
    """.split()
)

PERSONS = frozenset(
    """
    employee employees worker workers colleague colleagues parent parents mother mothers father fathers person persons people
    candidate candidates applicant applicants member members staff donor donors intern interns contractor contractors visitor
    visitors guest guests student students trainee trainees volunteer volunteers partners customer customers client clients
    veteran veterans vendor vendors supplier suppliers spouse spouses child children council adviser advisers advisor advisors
    """.split()
)

STOPWORDS = frozenset(
    """
    a about above after again all also although am an and any are as at be because been before being below
    between both but by can cannot could did do does doing during each either etc every few for from further had
    has have having he her here hers him his how however i if in into is it its itself may me might more most
    must my need no nor not of off on once one only or other our ours out over own per please same shall she
    should since so some such than that the their them then there these they this those through to too under
    until up upon us use used using very via was we were what when where whether which while who whom whose why
    will with within without would you your yours able ensure including include includes provided following case
    cases per
    """.split()
)

SYNONYMS: dict[str, tuple[str, ...]] = {
    "agree": ("say yes",),
    "annual leave": ("holiday", "vacation", "annual leave"),
    "approve": ("sign off", "OK", "authorise"),
    "approved": ("signed off", "OK'd", "authorised"),
    "assistance": ("help",),
    "begin": ("start",),
    "bereavement leave": ("time off for a funeral", "compassionate leave"),
    "carry over": ("roll over", "keep"),
    "colleague": ("coworker",),
    "commence": ("start",),
    "compensation": ("pay", "money"),
    "day off": ("free day",),
    "employees": ("staff", "people", "workers", "team members"),
    "employee": ("staff member", "worker", "team member"),
    "employer": ("company",),
    "entitled to": ("due", "allowed", "supposed to get"),
    "expenses": ("costs",),
    "expire": ("run out", "lapse"),
    "harassment": ("bullying", "being harassed"),
    "health insurance": ("medical cover", "health plan"),
    "illness": ("being sick", "sickness"),
    "inform": ("tell",),
    "jury duty": ("jury service",),
    "line manager": ("boss", "manager"),
    "medical certificate": ("doctor's note", "sick note"),
    "notify": ("tell", "inform"),
    "obtain": ("get",),
    "overtime": ("extra hours",),
    "parental leave": ("time off for a new baby", "maternity or paternity leave"),
    "permitted": ("allowed", "OK"),
    "probation": ("probation", "trial period"),
    "prohibited": ("banned", "forbidden"),
    "purchase": ("buy",),
    "receive": ("get",),
    "reimburse": ("pay back", "refund"),
    "reimbursed": ("paid back", "refunded"),
    "remote work": ("working from home", "home office"),
    "remuneration": ("pay",),
    "require": ("need",),
    "required": ("needed", "necessary"),
    "resign": ("quit", "hand in notice"),
    "retain": ("keep",),
    "salary": ("pay", "wages"),
    "schedule": ("plan", "book"),
    "sick leave": ("sick days", "sick time", "time off sick"),
    "submit": ("send in", "hand in", "file"),
    "terminate": ("end",),
    "training": ("courses",),
    "unpaid leave": ("time off without pay",),
    "vacation": ("holiday", "time off"),
    "workplace": ("office",),
}

ABSENT_TOPICS: tuple[str, ...] = _items(
    """sabbatical|pet insurance|company car|parking space|gym membership|childcare vouchers|stock options|tuition
    reimbursement|language course|relocation allowance|meal vouchers|dress code|smoking area|prayer room|nap room|standing
    desk|company phone|laptop replacement|home office furniture|internet allowance|mobile phone bill|business class flights|
    airport lounge|hotel upgrades|rental car|mileage rate|per diem|corporate credit card|petty cash|gift limit|conference
    ticket|sports team|christmas party|birthday leave|volunteering day|blood donation|moving house leave|wedding leave|
    honeymoon|adoption leave|surrogacy|fertility treatment|menstrual leave|pet bereavement|gardening leave|study leave|exam
    leave|military reserve duty|jury service|voting time|religious holidays|snow days|flexible fridays|four-day week|job
    sharing|night shifts|on-call duty|shift swap|double pay|thirteenth salary|signing bonus|referral bonus|retention bonus|
    performance bonus|profit sharing|commission rates|salary advance|pay rise|pay slip copies|severance pay|notice period|
    exit interview|reference letter|probation period|background check|drug test|fingerprinting|security clearance|visitor
    badge|lost badge|key card|locker|bike storage|shower|canteen|coffee machine|fridge|alcohol at work|pets at work|children
    at work|plants|office music|headphones|video cameras|password rules|two-factor login|usb sticks|personal e-mail|social
    media|whistleblowing hotline|side job|board membership|political campaigning|works council|union meeting|strike|mediation|
    grievance form|appeal hearing|warning letter|dismissal|redundancy|retirement age|pension plan|early retirement|life
    insurance|dental plan|eye test|glasses allowance|physiotherapy|flu shot|mental health days|counselling line|first aid|
    fire drill|evacuation plan|ergonomic assessment|pregnancy risk assessment|breastfeeding room|workplace injury|travel
    vaccination|visa costs|work permit|tax return|payroll error|bank details change|name change|marriage certificate|passport
    copy|driving licence|speeding fine|parking fine|toll charges|train card|bicycle lease|electric car charging|carpooling|
    taxi|client dinner|gift to a client|discount code|staff shop|suggestion box|patent|copyright|publication|press interview|
    mentor|onboarding buddy|team event|offsite|internship|apprenticeship|promotion criteria|job rotation|performance review|
    360-degree feedback|training budget|certificate exam|mentoring hours|desk booking|meeting room|printer|business cards|
    courier|waste sorting|heating|air conditioning|dark mode|newsletter|intranet page|mailing list"""
)

AUDIENCES: tuple[str, ...] = _items(
    """retirees|visitors|suppliers|former employees|job applicants|spouses|my children|my partner|my parents|my neighbours|
    freelancers|tenants|investors|journalists|customers|pensioners|my friends|business partners"""
)
"""People who do not work there, so that a rule for those who do says nothing of them."""

OFF_TOPIC: tuple[str, ...] = _items(
    """What is the capital of France?|Who won the last world cup?|Write a poem about autumn.|How do I bake sourdough bread?|What
    is 17 times 23?|Tell me a joke.|What's the weather like tomorrow?|Who wrote Hamlet?|How tall is Mount Everest?|Translate
    "good morning" into Spanish.|What is the speed of light?|Which laptop should I buy?|Explain photosynthesis.|Recommend a
    good film.|How do I fix a flat tyre?|Who is the president of Brazil?|What does HTTP stand for?|Give me a recipe for
    pancakes.|How far away is the moon?|What year did the second world war end?|How do I train a puppy?|What is a black hole?|
    Play some music.|Which team do you support?|What is the best restaurant in town?|How do I learn guitar?|When was the
    telephone invented?|Is coffee healthy?|How do planes fly?|What time is it in Tokyo?|Sing me a song.|Who are you?|What is
    the share price of our competitor?|How do I invest in bonds?|Can you write Python code to sort a list?|What is the
    population of India?|How many bones are in the human body?|What are good names for a cat?|How do I remove a wine stain?|
    Which phone has the best camera?"""
)

GREETINGS: tuple[str, ...] = (
    "Hi, ",
    "Hello, ",
    "Quick question: ",
    "Sorry to bother you, but ",
    "Just wondering, ",
    "Hey, ",
)
