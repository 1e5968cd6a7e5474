// Package where has the expressions over events that pipes use for conditions and
// keys, in the language of github.com/expr-lang/expr:
//
//	data.total > 100 && type startsWith "order."
//	any(data.items, .price > 50)
//	ext.region ?? "none"
//
// An event's attributes are id, source, type, subject, time, datacontenttype and
// dataschema, its extensions are the members of ext, and data is its data: decoded
// JSON, text, or base64 of other bytes. A misspelt attribute is found when the
// expression is compiled; a member of data that is not there is nil.
//
// Expressions come from users and data from anywhere, so both are bounded: there is
// no loop, recursion or variable; an expression has at most 4 KiB and 500 nodes, and
// what it does to one event costs at most a million steps, where a step is an element
// that a predicate looks at, and more if that does more than compare it with
// constants. Functions that make much of little, or depend on the time of day, are
// left out: see Functions.
package where
