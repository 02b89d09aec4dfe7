"""Files of turns as other tools write them."""

import json

RTTM = """;; a comment
SPKR-INFO call 1 <NA> <NA> <NA> unknown ann <NA> <NA>
SPEAKER call 1 3.50 1.25 <NA> <NA> bob <NA> <NA>
SPEAKER call 1 0.5 2.0 <NA> <NA> ann <NA> <NA>
"""
CTM = """;; words
call 1 0.50 0.40 good 0.9
call 1 0.95 0.55 morning 0.9
call 2 1.80 0.30 hi 0.9
call 1 5.00 0.50 bye 0.9
"""
SRT = """1
00:00:00,500 --> 00:00:02,500
[SPEAKER_00]: good morning

2
00:00:03,5 --> 00:00:04,750
<i>hi</i> &amp; welcome
"""
VTT = """WEBVTT

NOTE made by hand

00:00.500 --> 00:02.500 align:start
<v Ann Lee>good morning</v>

intro
00:00:03.500 --> 00:00:04.750
Bob: hi
"""
AUDACITY = "0.500000\t2.500000\tann\n\\\t100.0\t400.0\n3.500000\t4.750000\t\n"
TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 5
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "ann"
        xmin = 0
        xmax = 5
        intervals: size = 2
        intervals [1]:
            xmin = 0.5
            xmax = 2.5
            text = "she said ""no"" 3 times"
        intervals [2]:
            xmin = 2.5
            xmax = 5
            text = ""
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 5
        points: size = 1
        points [1]:
            number = 1.5
            mark = "click"
"""
SHORT_TEXTGRID = (
    'File type = "ooTextFile"\n"TextGrid"\n\n0\n5\n<exists>\n1\n"IntervalTier"\n"ann"\n0\n5\n1\n'
    '0.5\n2.5\n"yes"\n'
)
WHISPERX = json.dumps(
    {"segments": [{"start": 0.5, "end": 2.5, "text": " good morning", "speaker": "SPEAKER_00"}]}
)
FUNASR = json.dumps(
    [{"text": "…", "sentence_info": [{"start": 500, "end": 2500, "text": "早上好", "spk": 0}]}]
)

FILES = {
    "a.rttm": RTTM, "a.ctm": CTM, "a.srt": SRT, "a.vtt": VTT, "a.txt": AUDACITY,
    "a.TextGrid": TEXTGRID, "b.TextGrid": SHORT_TEXTGRID, "a.json": WHISPERX, "b.json": FUNASR,
}  # fmt: skip
