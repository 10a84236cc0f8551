"""Phrases that mean "I do not know", as patterns over words joined by spaces, with contractions as their long forms.

Owns the phrases: the English ones, grouped by whose statement they must be to count, and those of other languages.
Refuses to say whether a phrase is a hedge at its place: `backend.text.hedges` does. "," and "." are the marks between
words. Each pattern runs in linear time: what is repeated can never match what follows it.
"""

from __future__ import annotations

import re

_ADVERBS = (
    "(?:(?:explicitly|currently|yet|publicly|clearly|entirely|exactly|really|quite|completely|fully|directly|"
    "specifically|actually|been|being|so|too|very|at all|100|percent|even|totally|absolutely|altogether|"
    "all that|overly|honestly) )*"
)
_SAYING = "say|tell|answer|provide|determine|confirm|verify|recall|remember|be (?:sure|certain)|know|specify|respond"
_DOING = (
    "find|give|identify|help(?! but)|access|assist|speak|guess|name|think of|come up with|share|supply|recogni[sz]e"
)
_TEXT = (
    "(?:the |this |your |that |any )?(?:above |given |provided |original )?"
    "(?:text|passage|context|article|question|prompt|answer|response|document|information|data|sources?)"
)
OF_A_TEXT = re.compile(_TEXT)
_ANY = "(?:(?:a|an|any|the|that|this|your|such) )?"
_SURE = "(?:definite|definitive|clear|certain|specific|single|good|correct|exact|direct|precise|simple|reliable)"
_ASKED_FOR = (
    "(?:author|writer|poet|composer|painter|artist|sculptor|architect|creator|inventor|founder|discoverer|director"
    "|name|title|date|year)s?"
)
"""What a question may ask for. "There is no known author." is a hedge, but "no known cure" may be the answer."""
SPEAKERS_OWN = (
    rf"(?:do not|does not|(?:i|we) did not) {_ADVERBS}(?:know|recall|remember)",
    rf"do not have {_ADVERBS}(?:any |enough |sufficient |the |access|that |specific )*"
    "(?:information|data|access|knowledge|context|details)",
    rf"(?:can not|unable to|not (?:been )?able to) {_ADVERBS}(?:{_SAYING}|{_DOING})",
    rf"could not {_ADVERBS}(?:be (?:sure|certain)|determine|confirm|verify|provide|specify)",
    rf"(?:i|we) could not {_ADVERBS}(?:{_SAYING}|{_DOING})",
    rf"not {_ADVERBS}(?:for )?sure(?! footed)",
    rf"not {_ADVERBS}aware",
    "unsure|no idea|have no clue|(?<=[.] )no clue|do not think (?:i|we) (?:know|can (?:say|tell|answer))",
    "(?:have not|not) the (?:faintest|foggiest|slightest)(?: idea| clue)?(?= [.,])",
    "(?:do not have|have not(?: got)?) (?:a|an|any|the) "
    "(?:(?:faintest|foggiest|slightest|single|earthly) )?(?:clue|idea)",
    "(?<=[.,] )not a clue(?= [.,])",
    rf"(?:do not (?:have|possess)|have not(?: got)?) {_ANY}(?:information|data|knowledge|details)",
    "have no (?:knowledge|recollection|memory)(?= [.,]| (?:of|about|on|regarding))",
    rf"do not {_ADVERBS}recogni[sz]e|do not {_ADVERBS}understand(?= [.,]| (?:the|your|this|that|what))",
)
"""What the speaker does not know or cannot do; said of somebody else it is no hedge."""
ANSWERS_OWN = (
    rf"(?:not {_ADVERBS}known|unknown)"
    r"(?! (?:for(?! certain| sure)|as|by|under|outside|beyond|among|until|till|before|elsewhere|at the time)(?!\S))",
    rf"not {_ADVERBS}(?:for )?(?:certain|clear)(?! cut)|unclear|uncertain",
    rf"not {_ADVERBS}(?:provided|specified|mentioned|stated|disclosed|documented)",
)
"""What is said of the answer; said of a person or a thing it is no hedge."""
WHOEVER_IS_SUBJECT = (
    rf"(?:can not|could not|unable to|not able to) {_ADVERBS}be {_ADVERBS}(?:determined"
    rf"|known(?! (?:as|for|by))|confirmed|verified|answered|identified(?! (?:as|by))|said(?! to)"
    rf"|found(?= [.]| anywhere [.]| (?:in|from) {_TEXT}))",
    rf"(?<!so )(?:i|we) (?:will not|refuse to|decline to|must decline to) {_ADVERBS}(?:{_SAYING}|{_DOING})",
    rf"(?:text|passage|context|article|question|prompt|it) does not {_ADVERBS}(?:mention|say|state|specify)",
    rf"(?:i am|we are) not {_ADVERBS}familiar with",
    "no public record|(?:i am|we are) unaware",
    "(?:not enough|insufficient|i lack|we lack) (?:the |any )?(?:information|data|context|knowledge|details)",
    "no way (?:to know|of knowing)|anyones guess|(?<=^[.] )who knows(?= [.]$)",
    "(?<=^[.] )(?:n a|no se|beats me|(?:i|sorry i|sorry , i) (?:forget|forgot))(?= [.]$)",
    "your guess is as good as mine|(?:i|we) would not know(?= [.,])",
    "(?:there (?:is|are|was|were) )no records?|no records? (?:of|that|exists?)|have no records?",
    "(?:no one|nobody) (?:really |actually )?knows",
    rf"nothing (?:(?:is|was|has been) )?{_ADVERBS}(?:known|recorded) (?:about|of)|(?:i|we) know nothing",
    r"nothing (?:more |else |further )?(?:is|was) known(?= [.,])",
    "i am (?:so |very |really )?sorry|i apologi[sz]e|my apologies",
    "as an ai(?! (?:researcher|pioneer|scientist|expert|engineer|company|lab|startup)s?)|i am (?:just|only) an ai",
    "as a (?:large )?language model|more context",
    "(?:hard|difficult|impossible) to (?:say|tell(?! apart)|know|determine)",
    "(?:please|could you|can you|would you|need to) clarify",
    "clarify (?:the|your|what|which) (?:question|request|mean|you)",
    "(?:i|we) have (?:never|not) (?:even |ever )?heard (?:of|about)|(?<=[.] )never heard of(?! (?:again|since|after))",
    rf"(?:i|we) wish (?:that )?(?:i|we) (?:knew(?! how)|could (?:{_SAYING}|{_DOING}))",
    "(?:i|we|one|you) (?:can|could|may|would) only (?:guess|speculate)",
    "i (?:am|would be|would only be|would just be) (?:only |just )?guessing",
    "(?:this|that|it) (?:is|would be) (?:just|only|merely|purely) (?:a|my) (?:wild |rough )?guess",
    rf"(?:i|we) (?:would |will )?(?:rather not|prefer not to) (?:{_SAYING}|{_DOING})",
    rf"(?:information|data|details?) (?:is|are|was|were) {_ADVERBS}(?:not {_ADVERBS}available|unavailable)"
    "(?! to (?!me|us|the public))",
    rf"no (?:known|recorded|documented|confirmed|verified|official|{_SURE}) {_ASKED_FOR}"
    "(?= [.,]| (?:of|to|who|is))",
    rf"(?:(?:i|we) (?:(?:really|currently|just|simply|still|honestly) )?|(?<=[.] ))"
    rf"(?:(?:do not (?:have|possess)|have not(?: got)?|lack) {_ANY}(?:{_SURE} )?answers?|have no answer(?= [.,]| to))",
    "there is no (?:known |single |definite |definitive |clear )?answer(?= [.,]| to (?:this|that|the|your))",
    rf"(?:the|an|my|your|no) answers? (?:is|are) {_ADVERBS}(?:not {_ADVERBS}available|unavailable)",
    r"(?:i|we) (?:am|are|was) not (?:(?:really|quite|at all|100|percent|absolutely|entirely|totally|completely|so|too"
    "|very) )*(?:positive|confident|convinced|acquainted with)",
    "i (?:am|was) (?:completely |totally )?(?:at a loss|clueless|stumped|drawing a blank)",
    "(?:escapes|eludes) me|(?:slips|slipped) my mind|on the tip of my tongue",
    "(?:i|we) have (?:quite |completely |totally )?forgotten(?= [.,]| (?:the|his|her|its|that|who|what|which|it))",
    "(?:beyond|outside)(?: of)? my (?:knowledge|expertise|scope|training)",
    "(?:i|we|one) (?:may|might|will|would|can) never (?:really |truly )?know",
    "remains? a (?:complete |total )?mystery(?= [.,])|how (?:should|would) i know|not something (?:that )?i know",
    "(?<=^[.] )(?:not available|unavailable|no answer|no comment|search me|do not ask me|who can say"
    "|(?:god|heaven|goodness|lord) (?:only )?knows|you have got me|could not (?:tell you|say))(?= [.]$)",
)
"""Phrases that are a hedge whatever their subject is."""
OTHER_HEDGES = (
    *("不知道", "不清楚", "不确定", "不確定", "无法回答", "無法回答", "无法确定", "無法確定"),
    *("分かりません", "わかりません", "分からない", "わからない", "知りません", "不明です"),
    *("모르겠습니다", "모릅니다", "모르겠어요", "모르겠다", "몰라요", "알 수 없습니다", "알 수 없다"),
    *("ไม่ทราบ", "ไม่รู้", "ไม่แน่ใจ", "मुझे नहीं पता", "पता नहीं", "मालूम नहीं", "नहीं जानता", "नहीं जानती"),
    *("لا أعرف", "لا أعلم", "لا أدري", "لست متأكدا", "غير معروف", "نمی‌دانم", "לא יודע", "לא יודעת", "לא ידוע"),
    *(
        "не знаю",
        "не знаем",
        "не уверен",
        "не уверена",
        "не уверены",
        "не могу ответить",
        "не могу сказать",
        "неизвестно",
    ),
    *("δεν ξέρω", "δεν γνωρίζω", "bilmiyorum", "bilmiyoruz", "emin değilim", "bilinmiyor", "keine Ahnung"),
    *("weiß nicht", "weiß es nicht", "weiß ich nicht", "weiß das nicht", "nicht sicher", "unbekannt"),
    *("tut mir leid", "ne sais pas", "ne connais pas", "suis pas sûr", "suis pas sûre", "aucune idée"),
    *("no lo sé", "no se sabe", "no estoy seguro", "no estoy segura", "não sei", "não tenho certeza"),
    *(
        "non lo so",
        "non so",
        "non sono sicuro",
        "non sono sicura",
        "non ne sono sicuro",
        "non ne sono sicura",
        "weet het niet",
        "weet ik niet",
        "geen idee",
    ),
    *("desconozco la respuesta", "lo desconozco", "je l'ignore", "je n'en sais rien", "понятия не имею", "не знам"),
    *("невідомо", "ne znam", "neviem", "en tiedä", "emme tiedä", "nem tudom", "nu știu", "ved det ikke", "ved ikke"),
    *("vet ikke", "vet det ikke", "veit ikkje", "hindi ko alam", "sijui", "আমি জানি না", "எனக்குத் தெரியாது"),
    *("معلوم نہیں", "نہیں معلوم", "नहीं मालूम", "ma ei tea", "nuk e di"),
    *("не помню", "без понятия", "nie mam pojęcia", "nie pamiętam", "netuším", "nemám tušení", "fikrim yok"),
    *("没听说过", "沒聽說過", "没有相关信息", "覚えていません", "存じません", "ليس لدي فكرة", "ليس لدي معلومات"),
    *("nie wiem", "vet inte", "không biết", "không chắc", "tidak tahu", "nevím"),
)
"""Hedges in other languages, as they are written."""

OTHER_PATTERNS = (
    r"(?:weiss|wusste)(?: (?:ich|wir|es|das|dies|leider|auch|wirklich|selbst|gerade))+ nicht",
    r"weiss(?: leider| gar) nicht",
    r"kann(?: (?:ich|wir|es|das|dir|ihnen|leider|dazu))* nicht (?:sagen|beantworten)|keinen(?: blassen)? schimmer",
    r"(?:ich|wir) kennen?(?: (?:ihn|sie|es|das|die antwort|den namen|leider))* nicht",
    r"(?:ist|war)(?: (?:mir|uns|leider|auch))+ nicht bekannt|(?:ist|war) nicht bekannt(?= [.,])",
    r"(?:je|j|on) (?:ne |n )?(?:le |la |l )?sais(?: vraiment| malheureusement)? pas",
    r"ne (?:le|la|les) (?:sais|connais) pas",
    r"nen sais(?: vraiment)? rien|jen sais rien|jignore",
    r"nai (?:pas la reponse|pas dinformations?|aucune information)",
    r"suis pas (?:certain|certaine)|ne peux pas (?:repondre|le dire|dire)|ne me (?:souviens|rappelle) pas",
    r"no se (?:la respuesta|quien|cual|cuando|donde|nada)|no tengo (?:ni )?(?:la menor )?idea|(?<=[.,] )ni idea",
    r"no (?:conozco|tengo) (?:la|esa|esta) (?:respuesta|informacion)|no tengo informacion",
    r"no (?:puedo responder|recuerdo)",
    r"nao (?:faco|tenho)(?: a menor)? (?:ideia|informacoes)|nao (?:conheco a resposta|me lembro|posso responder)",
    r"desconheco|non (?:ne )?ho (?:la minima )?idea|non (?:conosco la risposta|ricordo|saprei)",
    r"weet(?: (?:ik|wij|we|het|dat|helaas|echt|eigenlijk|ook))+ niet|weet niet",
    r"vet(?: (?:jag|vi|det|tyvarr|faktiskt))+ (?:inte|ej)|ingen aning",
    r"(?:ved|vet|veit)(?: (?:jeg|eg|vi|det|dessverre|desvaerre|desvarre))+ (?:ikke|ikkje)|aner ikke|ingen anelse",
)
"""Hedges in other languages with optional words in between, spelled as words are compared: without accents, two words
joined by an apostrophe as one."""
