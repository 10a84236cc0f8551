"""Values in the format in which other programs print their own objects, recognised by their syntax.

Owns the patterns: columns and scalars of pandas, Arrow and R, typed arrays of Julia, collections of Scala, objects of
Java, JavaScript, Ruby, PHP, Perl and Go, bytes of databases. Such a value is refused, because no spelling can be read
from it; what Python and NumPy print is read (`backend.identify.formats.literals`). "Some (song)", "Vector(s)" and
"Paris[1]" are answers. A text exactly as a program prints it ("Some(thing)", "Optional[int]", "range(1, 3)") is refused
although it may be an answer: a refused row is counted and reported, a wrong spelling would go unnoticed.
"""

from __future__ import annotations

import re

_R = (
    r"\[1\] (?:-?[\d.]+|NA|TRUE|FALSE)\Z",
    r"\[\[1\]\]\s",
    r"<[a-z]+ \[[\d, x\u00d7]+\]>\Z",
    r"(?:factor|structure|data\.frame|tibble)\((?:c|list|character)\(",
)
_JULIA = (
    r"\w{1,40}(?:\{\w+\})?\[\s*\".*\]\Z",
    r"(?:Any|String|SubString|Symbol|Char|Bool|U?Int\d*|Float\d+|Union|Vector|Array|ARRAY)(?:\{[\w{}, ]+\})?"
    r"\[(?:\]|['\":\d-].*\])\Z",
    r"(?:Dict|Set|Pair|Vector|Array)\{[\w{}, ]+\}\(",
    r"\"[^\"]*\" => \"[^\"]*\"\Z",
    r"\(\w{2,} = [\"\[]",
)
_SCALA_AND_JAVA = (
    r"(?:WrappedArray|Array(?:Seq|Buffer))\(|(?:Array|List|Vector|Seq)\(\w[^()]*,",
    r"(?:List|Seq|Set|Map|Vector)\(\)\Z|(?:Some|Map)\(\w\w[^()]*\)\Z|Optional(?:\[\D.*\]|\.empty)\Z",
    r"[A-Z]\w*\(\w[^()]*,\s*(?:List|Seq|Vector|Set)\(",
    r"\[?\{(?:\w{2,}=|\w{2,} -> )\S.*\}\]?\Z|[A-Z]\w*[\[{]\w{2,}=.*[\]}]\Z",
    r"\[L[a-z]+(?:\.\w+)+;@|(?:[a-z]\w*\.)+[A-Z]\w*@[0-9a-f]{4,8}\Z",
)
_OTHERS = (
    r"#<\w|Array\s*\(\s*\[\w+\]\s*=>|array\s*\(\s*(?:\d+|'\w+') =>|[\[{]\s*:\w+\s*=>|\[:[a-z_]\w+[\],]|map\[\w+:",
    r"(?:Map|Set)\(\d+\) ?\{|\[object \w+\]|\[\s*(?:\[\s*)?(?:Object|Array|Function|Circular)\s*\]",
    r"[\[\s&#%]*\{\s*(?:[vV]alue|[tT]ext|[aA]nswers?|[aA]liases|[nN]ame|[iI]d):\s*\S.*\}\s*\]?\Z",
    r"(?:%w|vec!|\[\]\w+|!!\w+/\w+ )[\[{(]|[#&%]\{",
    r"(?:HASH|ARRAY|CODE|SCALAR)\(0x[0-9a-f]+\)\Z|\w+ object \(\d+\)\Z",
    r"(?:\[nil|\[NA|\{NULL|\{null)[\]}]\Z",
    r"\\x(?:[0-9a-f]{2})+\Z|[xX]'(?:[0-9a-fA-F]{2})*'\Z",
    r"<(?:class|enum) '|<[A-Za-z_][\w.]*: .*>\Z|\[<[A-Z]\w* ",
    r"\[?<(?:[\w.]+(?:Scalar|Array)\b|.{1,200} at 0x[0-9a-f]+>)",
)
_PYTHON = (
    r"range\(-?\d+, -?\d+(?:, -?\d+)?\)\Z",
    r"(?:o?dict_items|odict_\w+|bytearray|memoryview)\(\s*[\[b]",
    r"(?:np|numpy)\.(?:longdouble|complex\d+|void)\(",
    r"(?:[a-z]\w*\.)*[A-Z]\w{2,}\(\s*\[\s*(?:[bBuU]?['\"]|-?\d[\d., ]*\],)",
)
_OBJECT = re.compile("|".join((*_R, *_JULIA, *_SCALA_AND_JAVA, *_OTHERS)), re.DOTALL)
_OF_PYTHON = re.compile("|".join(_PYTHON))
_COLUMN = re.compile(r"\bdtype: \w+\)?\Z")
"""The last line of a column as pandas prints it."""


def is_foreign(text: str) -> bool:
    """Whether this is an object as another program prints it."""
    return bool(_OBJECT.match(text) or _COLUMN.search(text[-60:]))


def is_unread(text: str) -> bool:
    """Whether this is a call as Python prints it, of a kind that is not read here."""
    return bool(_OF_PYTHON.match(text))
