"""Word lists of the sentence splitter. English; other languages fall back on the general rules."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Written before a name: a full stop after these never ends a sentence.
NEVER_FINAL = _words(
    """Mr Mrs Ms Mx Dr Prof Gen Lt Lieut Col Maj Capt Cpt Sgt Cpl Pvt Pte Cmdr Cdr Adm Supt Insp
    Det Rep Reps Sen Sens Gov Govs Pres Rev Hon Messrs Mme Mlle Amb Atty Cllr Ald Sra Dra Sir Mgr Msgr
    Engr Mst Sta v Wm Geo Chas Jas Bros vs viz cf e.g i.e incl"""
)

# May end a sentence, and does only where the next word is one that opens sentences.
MAYBE_FINAL = _words(
    """Inc Corp Co Cos Ltd Plc Llc Jr Sr Esq Dept Univ Assn Intl Natl Govt Comm Ins Mfg Bhd Pty Gmbh Brig
    Eng
    Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec Mon Tue Tues Wed Thu Thur Thurs Fri
    St Ste Mt Ft Ave Blvd Rd Sq Hwy Pkwy Fr al ca est ext approx
    Ala Ariz Ark Calif Colo Conn Del Fla Ga Ill Ind Kan Ky La Mass Md Mich Minn Miss Mo Mont Neb Nev
    Okla Ore Pa Penn Tenn Tex Va Vt Wash Wis Wyo Ont Que Sask Alta Ph.d Ph"""
)

# A number after these belongs to them: "No. 10", "Jan. 5", "Art. 3". "No." itself is also a word.
BEFORE_NUMBER = _words(
    """No Nos no nos Art Arts Sec Secs Vol vol Fig fig Ch ch p pp para Rs approx ca tel Tel pop Ext ext
    Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec Pt Bk Op Rm ft"""
)

# Words that begin sentences and hardly ever follow an abbreviation inside one. Without And, To, Has and
# the like: old wires capitalise whatever follows "U.S.".
OPENERS = _words(
    """The This That These Those There Here He She It They We I You A An His Her Its Their Our My Your
    But Yet Nor In On At As If When While After Before Since Although Though However Meanwhile
    What Why How Whether Some Many Most Several Both Each Other Others Another For Without No Also Still
    Then Now Last Earlier Later Once Among Until Unless Despite During According Instead Moreover
    Nevertheless Nonetheless Indeed Perhaps Maybe Only Even Because Between Against It’s It's He’s He's
    She’s She's They’re They're We’re We're We’ve We've I’m I'm I’ve I've I’ll I'll That’s That's
    There’s There's Don’t Don't You’re You're Today Yesterday Tomorrow Neither Either Every Few Nobody
    Everyone Everybody Nothing Something"""
)

TIME_WORDS = _words(
    """Monday Tuesday Wednesday Thursday Friday Saturday Sunday Mon Tue Tues Wed Thu Thur Thurs Fri Sat Sun
    January February March April May June July August September October November December
    Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec
    EST EDT ET CST CDT CT MST MDT MT PST PDT PT GMT UTC BST CET CEST IST JST AEST SGT HKT
    Eastern Central Mountain Pacific Greenwich Beijing Moscow London local Local"""
)

EXCLAIMED_NAMES = _words("Yahoo Yum Jeopardy Joomla Oliver Oklahoma Mamma")

# Verbs of attribution, as a regex alternation.
SPEECH = (
    "said|says|say|asked|asks|added|adds|told|tells|wrote|writes|replied|replies|answered|shouted|shouts|"
    "cried|yelled|exclaimed|wondered|wonders|continued|insisted|declared|joked|quipped|tweeted|posted|"
    "recalled|recalls|responded|remarked|demanded|screamed|laughed|explained|argued|argues|warned|noted"
)
