"""The phrases boilerplate is known by, matched against lower-cased lines.

Alternatives of OPENING must match from the beginning of a line; those that could also begin a
sentence of an article demand the end of the line, a colon, or words no reporter writes.
"""

from __future__ import annotations

import re

_SITE = (
    r"(?:facebook|twitter|x|whatsapp|telegram|linkedin|reddit|e-?mail|tweet|digg|messenger|pin|pinterest|stumbleupon|del\.icio\.us"
    r"|delicious"
    r"|print|copy link|instagram|youtube|tiktok)"
)
_MONTH = r"(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*\.?"
_DAY = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\.?"
_CLOCK = (
    r"(?:\d{4}(?=\s(?:gmt|utc))|\d{1,2}[:.h]\d\d(?:[:.]\d\d)?\s?(?:[ap]\.?\s?m\.?)?|\d{1,2}\s?[ap]\.?m\.?)"
)
_ZONE = (
    r"(?:local time|\(?(?:gmt|utc|bst|c?[ew]?es?t|[ecmp][sd]?t|a[ew][sd]t|[ijkhs]s?[gk]?t|nz[sd]t|wib|wat|eat"
    r"|sast)\)?|[+-]\d{2}:?\d{2})"
)
_DATE = (
    rf"(?:\d{{1,2}}(?:st|nd|rd|th)?\s{_MONTH},?\s\d{{4}}|{_MONTH}\s\d{{1,2}}(?:st|nd|rd|th)?,?\s\d{{4}}"
    r"|\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4})"
)
_APOSTROPHE = r"(?:'|’)?"
_STORY = r"(?:article|story|piece|post|report|column|interview|transcript)"
_FIELD = r"(?:name|e-?mail(?: address)?|website|comment|message|phone|town/country)"
_PICTURE = (
    r"(?:photo(?:graph|graphy)?s?|images?|pictures?|pics?|illustrations?|graphics?|video|foto|map|cartoon)"
)
_BEAT = (
    r"(?:our|staff|special|senior|chief|deputy|assistant|political|technology|business|courts?|foreign|crime"
    r"|health|education|science|sports?|environment|economics|diplomatic|defen[cs]e|transport|housing"
    r"|consumer|religion"
    r"|local|national|features|news|city|arts|agriculture|energy)"
)
_LIST_TITLE = (
    r"(?:read|see|more|related|recommended|watch|listen|next|up next|read next|read more|read also"
    r"|also read"
    r"|to read also|see also|more (?:from|on|about)\b[^.:]{0,40}|you (?:may|might) also like"
    rf"|don{_APOSTROPHE}t miss|most (?:read|popular|viewed)|trending|also in this section|in pictures"
    rf"|editor{_APOSTROPHE}s{_APOSTROPHE} picks?|from the archives?)"
)

#: A line that is nothing but a date, a time, or both.
DATE = re.compile(
    rf"(?:{_DAY},?\s)?(?:{_DATE}|{_CLOCK})(?:\s{_ZONE})?"
    rf"(?:,?\s(?:(?:at|-|–|\|)\s)?(?:{_DAY},?\s)?(?:{_CLOCK}|{_DATE}))?(?:\s{_ZONE})?\.?"
    r"|\d{1,2} (?:minutes?|hours?|days?|weeks?|months?) ago"
)

_OPENING = {
    "readtime": [
        r"(?:estimated )?(?:reading|read) time:?\s.{0,20}\Z",
        r"\(?\d{1,3}[ -]?min(?:ute)?s?\.?(?: (?:read|listen|watch|video))?\)?\Z",
    ],
    "timestamp": [
        r"(?:first )?(?:posted|published|updated|created|modified|last (?:updated|modified))(?: (?:on|at))?"
        rf"\s?:?\s(?:{_DAY},?\s)?(?:{_DATE}|{_CLOCK})(?:[^.]|\.\d){{0,40}}\Z",
    ],
    "form": [
        r"leave a (?:comment|reply)\b.{0,40}\Z",
        r"your e-?mail address will not be published",
        r"required fields",
        r"save my name, e-?mail",
        r"(?:add|post|write|submit) (?:a|your) (?:comment|reply)\b.{0,40}\Z",
        rf"{_FIELD}(?:\s*\*|(?:\s+{_FIELD}\s?\*?)+)\Z",
        r"(?:be the first to comment|no comments yet|cancel reply|log in to (?:comment|reply)"
        r"|sign in to comment"
        r"|have your say\b|view comments|comments? \(?\d+\)?|\d+ comments?)[^.]{0,40}\Z",
        r"(?:got a (?:tip|story)|were you (?:there|a winner)|know someone|do you have (?:a story"
        r"|information|more)"
        r"|what do you think)\b.{0,60}(?:\btext\b|e-?mail|call|ring|send|tips?\b|contact|comments?)",
        r"donate(?: \$?\d+)?(?:\s?\||\s(?:now|today)|\Z)",
        r"sign up (?:for|to)\b.{0,60}(?:enter (?:your )?e-?mail|newsletter|bulletin|alerts?!)",
        r"enter your (?:e-?mail|zip)\b",
    ],
    "paywall": [
        rf"you{_APOSTROPHE}(?: ha)?ve (?:read|reached|used)\b.{{0,30}}\b(?:free|limit)",
        r"you have \d+ free articles",
        r"(?:subscribe|register|log in|sign in|sign up)\b.{0,30}\b"
        r"(?:to (?:continue|read|keep reading|unlock|view)|for (?:full|unlimited) access)",
        r"(?:already a subscriber|to continue reading|continue reading (?:your|this|with)"
        r"|unlock (?:this|the|unlimited)|this (?:article|story|content) is (?:for|only available to"
        r"|exclusive to)"
        r" (?:our )?(?:subscribers|members)|subscribers only|subscriber exclusive|members only\Z)",
    ],
    "share": [
        r"(?:recommend|shares|likes?)\s?\(\d+\)",
        r"(?:please |kindly )?(?:share|e-?mail|send|print|tweet|bookmark) this\b[^.]{0,70}\Z",
        rf"(?:share|bookmark)(?: (?:on|via|with))?:?\s+{_SITE}\b.{{0,60}}\Z",
        r"(?:share|tweet|print|e-?mail|save|like|gift|listen|copy link|printable version|print this page)\Z",
        rf"(?:{_SITE}[\s|·,/]+)+{_SITE}\Z",
        r"(?:bookmark with|share (?:this|with)|partager|tweeter|compartir|teilen)\b[^.]{0,60}\Z",
        r"\S{1,12} share\Z",
        r"(?:follow|like|find|join) (?:us|me|@\w+|\w+(?: \w+)?) (?:on|at|via) (?:our )?"
        rf"{_SITE}\b[^.,]{{0,30}}\.?\Z",
        rf"like what you{_APOSTROPHE}re reading",
        r"if you (?:liked|enjoyed) this\b.{0,30}(?:chip|share|sign|subscribe|consider|support|donate)",
        r"have an opinion on this",
        r"download (?:our|the) (?:free )?\S* ?app\b",
        r"click (?:here|to)\b",
        r"(?:print\s+)?gift this article\Z",
        r"support (?:our|independent) (?:journalism|media|news)",
        r"this is a developing story\. (?:can|check|more|come)",
        r"(?:subscribe|sign up|get)\b.{0,30}\b(?:our|the|my)\b.{0,30}\b"
        r"(?:newsletters?|bulletin|inbox|podcast|briefing|alerts)\b",
    ],
    "teaser": [
        rf"{_LIST_TITLE}\s*[:|]\s?\S",
        r"(?:read more|see also|read also|also read|more (?:stories|news|coverage)|recommended(?: for you)?"
        r"|related(?: (?:news|stories|articles|links|topics|content|coverage|internet links))?"
        r"|trending(?: now)?"
        r"|most (?:read|popular|viewed)|more on this (?:story|topic)|you may also like|up next|top stories"
        rf"|don{_APOSTROPHE}t miss|latest news|in other news|popular now|what to read next|continue reading)"
        r"\s*[:.…»>→]*\Z",
        r"(?:turn to|see also|see|continued on) page \d",
        r"(?:full story|story|continued|more|comment|\S+ comment)[:,]? (?:on )?page \d+\Z",
    ],
    "navigation": [
        r"(?:skip to|jump to|back to|return to|go to) (?:main content|content|top|home|news|the top"
        r"|navigation"
        r"|scorecard|menu)\b[^.]{0,60}\Z",
        r"jump to:",
        r"(?:home|accueil|inicio)\s?(?:[>|/»›]|&gt;)",
        r"(?:advertisement|sponsored(?: content)?|promoted|menu|search|close|loading|next(?: article| story)?"
        r"|previous(?: article| story)?|(?:photo |view )?gallery|transcript|share & comment)[\s.…:»>]*\Z",
        r"(?:tags?|topics?|filed under|categor(?:y|ies)|keywords?|in this (?:story|article))\s?:\s",
        r"(?:article|story) continues (?:below|after)",
        r"(?:next story|previous story)\b[^.]{0,60}\Z",
        r"\[(?:video|photos?|gallery|audio|update)\]\Z",
    ],
    "agency": [
        r"[(\[](?:with|includes?|contains|using) (?:additional )?(?:information|material|inputs?"
        r"|reporting|files?"
        r"|agenc(?:y|ies)|reports?|afp|ap|reuters)\b[^.]{0,60}\.?[)\]]?\Z",
        r"[—–-]*\s?(?:with|includes?|contains) (?:additional )?(?:information|material|inputs?|reporting"
        r"|files)"
        r" (?:from|by)\b[^.,]{0,60}\.?\Z",
        r"with (?:inputs from )?agenc(?:y|ies)\.?\Z",
        r"\(?(?:source|agenc(?:y|ies)|wires?)\s?:\s\S[^.]{0,60}[.)]*\Z",
    ],
    "credit": [
        r"[(\[](?:additional )?(?:reporting|editing|writing|compiled|translated|produced)"
        r"(?: and (?:editing|writing|reporting))? by\s",
        r"(?:additional )?(?:reporting|editing|writing|compiled|translated)"
        r"(?: and (?:editing|writing|reporting))? by (?!the\b|an?\b)(?:[^;.]{1,80};|[^;.,]{1,40}\.?\Z)",
        rf"[(\[]?(?:file |library |stock |handout )?{_PICTURE}(?: credits?"
        rf"| courtesy)?\s?[:/]\s?\S.{{0,80}}\Z",
        rf"[(\[]?{_PICTURE} (?:courtesy|by|supplied|provided)\b(?:[^.]|\b\w\.){{2,80}}\Z",
        r"(?:file|library|stock|handout|archive) (?:photo|picture|image|photograph"
        r"|footage)(?: of\b[^.]{0,80})?\Z",
        r"photo taken on .{3,40} shows\b",
        r"\(?(?:photos?|pictures?|images?|credits?)(?: (?:source|credits?)|):",
    ],
    "disclaimer": [
        r"(?:copyright (?:©|\(c\)|\d{4}|notice|[\w ]{1,40}\Z)|©|\(c\)\s|all rights reserved|privacy policy"
        r"|cookie (?:policy|settings)|terms (?:of (?:use|service)|and conditions)\b.{0,40}\Z)",
        r"(?:the )?(?:views?|opinions?)(?: and opinions)? (?:expressed (?:here|in this|are)"
        r"|(?:expressed )?(?:are|by) (?:the|those of the) (?:author|writer))",
        rf"this {_STORY}(?: ha[sd]| was| is| may)?(?: been)?(?: also| lightly)?"
        r" (?:updated|corrected|amended|edited|translated|contain affiliate)\b",
        r"this (?:article|story|column)(?: was)?(?: first| originally) (?:published|appeared)\b",
        r"(?:this|the) interview (?:was conducted (?:in|by)|has been)\b",
        rf"(?:correction|clarification|disclaimer|disclosure|(?:editor|author){_APOSTROPHE}s note)s?\s?:",
        r"an earlier version of this (?:article|story|report|headline)",
        r"comments are (?:closed|moderated|now closed)",
        r"(?:the )?\S+(?: \S+){0,4} (?:is|are) not responsible for the content of external",
        r"(?:we|this (?:web)?site) uses? cookies",
        r"this is a rush transcript|(?:prices|figures) supplied for information",
    ],
    "caption": [
        r"(?:above|below|left|right|top|pictured|caption|(?:image|media|photo) caption|(?:cover|top) photo)"
        r"(?: (?:above|left|right|here))?\s?:\s?\S",
        r"(?:image|media|photo) caption\s",
    ],
    "byline": [
        rf"(?:{_BEAT}\s){{1,3}}(?:correspondent|reporter|writer|editor)\Z",
        r"posted by [^.]{3,60} (?:at|on) \d",
    ],
}

_ANYWHERE = {
    "caption": [
        rf"\((?:ap |file |handout )?{_PICTURE}\b[^()]{{0,100}}\)[.\s]*\Z",
        r"\((?:\w+ )?(?:photo|picture|archives?|file)\)\.?\Z",
        r"(?:\bvia getty images|/ ?getty(?: images)?|/afp|/reuters|/ap|/epa)\)?\.?\Z",
        r"(?:\bgetty images|\bshutterstock|\bap photo|\bafp/|\bepa-efe)[^.()]{0,40}\)?\Z",
        rf"[.!?)] {_PICTURE}(?:\s?:\s?\S.{{0,60}}| by [^.]{{3,60}})\Z",
        r"[(\[,:] ?file (?:photo|picture|image)[)\]]?\.?\Z",
    ],
    "credit": [r"^\w+ photo\Z", r"^photos? (?:contributed|supplied|provided) by\b"],
    "disclaimer": [
        r"\ball rights reserved\b",
        r"may not be (?:published|reproduced|redistributed)[, ].{0,60}(?:broadcast|redistributed|permission)",
    ],
    "agency": [r"^(?:\S+ ){1,12}contributed (?:reporting|to this (?:report|story|article))\b"],
    "form": [r"required fields are marked|e-?mail address will not be published"],
    "byline": [r"^(?:\S+ ){1,4}can be reached at \S+@"],
    "navigation": [r"^[^.|]{1,40}(?: \| [^.|]{1,40}){2,}\Z"],
    "teaser": [
        r"""^["“].{8,90}["”] [-–—] .{3,40}\b\d{4}\Z""",
        r"\b(?:gallery|video|photos) inside\Z",
        r"(?:[:,]|--?|–|—) page \d+\Z",
        r"\bin pictures\Z",
    ],
}


def _compiled(table: dict[str, list[str]]) -> list[tuple[str, re.Pattern[str]]]:
    """One pattern a reason, of its alternatives."""
    return [(why, re.compile("|".join(f"(?:{one})" for one in several))) for why, several in table.items()]


OPENING = _compiled(_OPENING)
ANYWHERE = _compiled(_ANYWHERE)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: A finished line is looked at only when it begins with one of these words ...
SUSPECT_OPENINGS = _words(
    """share subscribe sign get follow like download click your already register read see also more related
    watch listen photo photos photograph image picture file above below left pictured copyright © (c) views
    view opinions opinion correction clarification disclaimer disclosure editor's editor’s an comments
    bookmark enter updated published posted reporting editing additional writing leave save got source
    sources have log support turn caption media credit video tags topics donate compiled translated"""
)

#: ... or contains one of these.
TRIGGERS = (
    "hoto", "etty", "/AFP", "AFP/", "/Reuters", "/AP", "ile picture", "ights reserved", "may not be ",
    "contributed ", "equired fields", "not be published", "his article", "his story", "his interview",
    "his piece", "nterview was conducted", "external internet", "cookies", "newsletter", "reached at",
    "free articles",
    "xpressed ", "(With ", "(with ", "rush transcript", "developing story", "icture: ", "chip in",
)  # fmt: skip

CONNECTORS = _words("and & de da di del la le van von der den bin al el ibn y e dos du af av ter ten")
ROLES = _words(
    """correspondent correspondents reporter reporters writer editor columnist contributor bureau staff
    desk photographer newsroom"""
)
_AGENCIES = """afp|ap|reuters|upi|xinhua|tass|itar-tass|efe|dpa|ani|pti|ians|kyodo|jiji|yonhap|bernama
    |antara|anadolu|aa|bloomberg|ansa|belga|apa|interfax|ria novosti|press association|pa|pa media|cna|vna
    |kuna|agence france-presse|associated press|the associated press|thomson reuters|agencies|wam|spa
    |staff and agencies|with agencies"""
AGENCIES = frozenset(map(str.strip, _AGENCIES.split("|")))
SECTIONS = _words(
    """world news business economy economic politics political sport sports technology tech science health
    culture opinion opinions national international local regional domestic foreign external internal affairs
    relations relationships policy society entertainment markets market finance financial lifestyle travel
    education environment climate weather video videos photos gallery live breaking latest exclusive analysis
    features feature home us uk europe africa asia americas middle east and defence defense security law
    crime arts style money property media comment editorial letters obituaries classifieds obits headlines
    bulletin"""
)
