package jq

// What stands before a program, so that it uses these in the place of jq's.
const (
	sizes = `
def __add: add;             def add: __sized | __add;
                            def add(f): [f] | add;
def __tojson: tojson;       def tojson: __sized | __tojson;
def __tostring: tostring;   def tostring: if type == "string" then . else __sized | __tostring end;
def __flatten: flatten;     def flatten: __sized | __flatten;
def __flatten($n): flatten($n);   def flatten($n): __sized | __flatten($n);
def __join($s): join($s);   def join($s): __joins($s) | __join($s);
def __format($f): format($f);     def format($f): __sized | __format($f);
def __paths(f): reduce path(f) as $p (.; __place($p));
def __setpath($p; $v): setpath($p; $v);   def setpath($p; $v): __place($p) | __setpath($p; $v);
def __pick(f): pick(f);     def pick(f): __paths(f) | __pick(f);
def __transpose: transpose; def transpose: __turns | __transpose;
`

	searches = `
def test($re; $flags): __search($re; $flags; true);
def test($re): if $re | type == "array" then test($re[0]; $re[1]) else test($re; null) end;
def match($re; $flags): __search($re; $flags; false) | .[];
def match($re): if $re | type == "array" then match($re[0]; $re[1]) else match($re; null) end;
def __named: reduce (.captures[] | select(.name)) as $c ({}; .[$c.name] = $c.string);
def capture($re; $flags): match($re; $flags) | __named;
def capture($re): match($re) | __named;
def scan($re; $flags): match($re; $flags + "g") | if .captures == [] then .string else [.captures[] | .string] end;
def scan($re): scan($re; null);
def splits($re; $flags): . as $text
	| foreach (match($re; $flags + "g"), null) as $m ({at: 0};
		if $m then .piece = $text[.at:$m.offset] | .at = $m.offset + $m.length else .piece = $text[.at:] end;
		.piece);
def splits($re): splits($re; null);
def split($re; $flags): [splits($re; $flags)];
def sub($re; f; $flags): . as $text
	| reduce match($re; $flags) as $m ({at: 0, made: []};
		[$m | __named | f] as $by | $text[.at:$m.offset] as $before
		| reduce range($by | length) as $i (.; .made[$i] += $before + $by[$i])
		| .at = $m.offset + $m.length)
	| if .made == [] then $text else $text[.at:] as $rest | .made[] | . + $rest end;
def sub($re; f): sub($re; f; null);
def gsub($re; f; $flags): sub($re; f; $flags + "g");
def gsub($re; f): sub($re; f; "g");
`
)
