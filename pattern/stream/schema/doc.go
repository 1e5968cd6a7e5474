// Package schema keeps JSON Schemas (draft 2020-12) for topics: what the data of
// their events has to be. A schema is for all events of a topic or for those of
// one type; it has numbered versions that never change, and a rule that says how a
// new version has to fit those before it.
//
//	promise                                              | how
//	-----------------------------------------------------|---------------------------------------------
//	an event that breaks its schema is never stored      | [Registry.Check] runs before anything is appended
//	a refusal says where and why                         | Failure: instance path, keyword, schema path
//	the same event is refused for the same reason        | properties are looked at in order
//	an event costs no more work than its size allows     | steps are counted: MaxSteps, StepsPerByte
//	a version means the same for ever                    | no reference leaves the document
//	a rule lets only through what it can prove           | see [Compare]: the rest is refused as undecided
//	every node knows the same schemas                    | they are events in [Stream], compare-and-append
//
// What is understood: all of the vocabularies core, applicator, validation and
// unevaluated, but for $dynamicRef, $dynamicAnchor, $vocabulary, an $id below the
// root and $ref to anything but a schema in the same document; those are refused,
// never passed over. format, content… and unknown keywords say nothing about
// validity, as the standard has it by default. Patterns are RE2 (no look-around, no
// back-references). Schemas that refer to themselves may do so through a property
// or an item, but not about one and the same value.
//
// What it is not: it does not convert events, and knows no other schema language.
package schema
