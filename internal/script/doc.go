// Package script runs tests that are written as text: a command, four dashes,
// and what it answers. Adding a case needs no Go, and a change of behaviour is a
// diff that can be read.
//
//	# Lines that begin with # before a command are comments.
//	enqueue id=a delay=30s
//	----
//	position 1
//
//	body
//	a second line of the command's input
//	----
//	ok
//
// A case ends with an empty line; an empty line of the answer is written as ⏎.
// Words of the command are separated by spaces; those with = are named
// arguments. `go test -update` writes the answers down instead of comparing
// them: read what it wrote as you would read code.
package script
