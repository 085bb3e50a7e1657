"""Notes, and questions that say what a note says in other words: for comparing search by meaning with that by words."""

NOTES = {
    "Bread.md": (
        "# Sourdough\n\nFeed the starter the evening before. Mix flour, water and salt, let the dough rise"
        " until it has doubled, bake it in a hot iron pot.\n"
    ),
    "Tyres.md": (
        "# Puncture\n\nTake the wheel off the bicycle, lever the tyre from the rim, find the hole in the tube"
        " under water, glue the patch on.\n"
    ),
    "Sleep.md": (
        "# Insomnia\n\nNo coffee after lunch, no screens in bed, the same hour every evening. Waking at three"
        " is mostly worry.\n"
    ),
    "Mortgage.md": (
        "# House loan\n\nThe bank offers a fixed interest rate for ten years. Monthly repayment must stay"
        " below a third of the salary.\n"
    ),
    "Garden.md": (
        "# Tomatoes\n\nSow indoors in March, plant out after the last frost, pinch out side shoots, water at"
        " the root.\n"
    ),
    "Server.md": (
        "# Backups\n\nA nightly copy of the database goes to the other machine, encrypted. Restore one every"
        " month to see that it works.\n"
    ),
    "Interview.md": (
        "# Hiring\n\nAsk candidates what they built last and what broke. Two people talk to each applicant,"
        " then compare notes.\n"
    ),
    "Knee.md": (
        "# Running injury\n\nPain below the kneecap after long distances. The physiotherapist says: rest, ice,"
        " strengthen the thighs.\n"
    ),
    "Passport.md": (
        "# Travel documents\n\nThe passport expires in June. The visa for Japan needs a photograph and the"
        " booking of the flight.\n"
    ),
    "Piano.md": (
        "# Practising\n\nScales first, slowly, with a metronome. Then the difficult bars of the sonata, hands apart.\n"
    ),
    "Whales.md": "# Humpbacks\n\nThey migrate from the tropics to polar seas to feed on krill, and sing for hours.\n",
    "Tax.md": (
        "# Annual return\n\nCollect receipts, donations and the statement of income; the revenue office wants"
        " it by the end of July.\n"
    ),
    "Dog.md": (
        "# Puppy\n\nReward the young animal with a treat when it sits. Short lessons, always outside before bed.\n"
    ),
    "Meeting.md": (
        "# Stand-up\n\nEveryone says in a minute what is done, what is next, what is in the way. Details"
        " afterwards, in pairs.\n"
    ),
    "Camera.md": (
        "# Exposure\n\nA wide aperture blurs the background, a fast shutter freezes motion, high sensitivity"
        " brings grain.\n"
    ),
    "Chess.md": (
        "# Endgames\n\nThe king becomes a strong piece. Passed pawns must be pushed, rooks belong behind them.\n"
    ),
    "Wine.md": (
        "# Cellar\n\nBottles lie on their side at twelve degrees in the dark. Red ones from the south want years.\n"
    ),
    "Grandmother.md": (
        "# Family history\n\nShe was born on the island, came over by ship as a girl, and worked in the"
        " cannery until the war.\n"
    ),
    "Solar.md": (
        "# Panels\n\nEight modules on the roof make enough electricity from spring to autumn; the surplus goes"
        " to the grid.\n"
    ),
    "Vaccines.md": "# Jabs\n\nTetanus every ten years, influenza each autumn, the doctor keeps the yellow booklet.\n",
    "Novel.md": (
        "# Draft\n\nThe detective finds the letter in chapter nine. The murderer must be seen earlier, harmless.\n"
    ),
    "Paint.md": "# Kitchen walls\n\nWash off the grease, fill the cracks, sand, one coat of primer and two of white.\n",
}

JOURNAL = (
    (
        "We walked along the harbour in the rain and watched the ferries come in. Lunch was at the small"
        " place by the church. In the afternoon the children built a castle out of boxes, and we read on the"
        " sofa until it was dark."
    ),
    (
        "Called the insurance company about the broken window. They send somebody on Thursday to look at the"
        " frame and to measure the glass. The neighbour keeps the key."
    ),
    (
        "The choir sang well at the concert, only the tenors came in too early. The hall was full, and"
        " afterwards there was soup for everybody in the foyer."
    ),
    (
        "The bees swarmed at noon and hung in the plum tree. Caught them in a basket, shook them into the"
        " empty hive, and left the entrance open until evening."
    ),
    (
        "Tried on suits for the wedding. The grey one fits in the shoulders, the trousers have to be"
        " shortened by a finger."
    ),
    (
        "Snow in the morning; cleared the drive twice. The car did not start, its battery is four years old"
        " and has to be replaced before the next cold night."
    ),
)
LONG = {
    f"Journal {number}.md": f"# Journal {number}\n\n"
    + "\n\n".join(f"## Day {day}\n\n{JOURNAL[(day + number) % 3]}" for day in range(12))
    + f"\n\n## Day 12\n\n{JOURNAL[3 + number]}\n\n"
    + "\n\n".join(f"## Day {day}\n\n{JOURNAL[(day + number) % 3]}" for day in range(13, 20))
    for number in range(3)
}
VAULT = NOTES | LONG

QUESTIONS = {
    "how to make a loaf at home": "Bread.md",
    "fixing a flat on my bike": "Tyres.md",
    "lying awake at night": "Sleep.md",
    "borrowing money to buy a home": "Mortgage.md",
    "growing vegetables": "Garden.md",
    "disaster recovery of data": "Server.md",
    "recruiting new employees": "Interview.md",
    "jogging hurts my leg": "Knee.md",
    "papers needed for a trip abroad": "Passport.md",
    "learning a musical instrument": "Piano.md",
    "marine mammals": "Whales.md",
    "money owed to the government": "Tax.md",
    "training a pet": "Dog.md",
    "daily team status": "Meeting.md",
    "photography settings": "Camera.md",
    "board game strategy": "Chess.md",
    "storing alcohol": "Wine.md",
    "ancestors who emigrated": "Grandmother.md",
    "renewable energy on our house": "Solar.md",
    "immunisation against flu": "Vaccines.md",
    "plot of a crime story": "Novel.md",
    "decorating a room": "Paint.md",
    "insects and honey": "Journal 0.md",
    "clothes for a marriage ceremony": "Journal 1.md",
    "winter trouble with the vehicle": "Journal 2.md",
    "bake dough": "Bread.md",
    "passport visa": "Passport.md",
}
