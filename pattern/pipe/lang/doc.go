// Package lang is the line of text in which a pipe is written, a small part of what
// POSIX calls the shell command language (XCU 2): words, quotes, escapes and |.
//
//	cat file.txt | grep 'time *out' | sort | uniq -c
//
// Blanks separate words. 'single quotes' keep everything; "double quotes" keep all
// but \" \\ \$ \` and a backslash before a newline; a backslash outside keeps the
// next character. Unquoted * ? and [ make a word a file name pattern. What else a
// shell would act on (; & < > ( ) ` $name ~ #) is refused with its position and
// what to write instead: nothing is taken for something that it is not.
//
// # Expressions
//
// A stage that ParseWith is told of takes all up to the next | as one word, as it
// is written, so that
//
//	where data.total > 100 || data.vip | map {id: .id, tags: [.tags[] | .name]}
//
// needs no quotes. A | in brackets, in a string of the expression or doubled belongs
// to the expression; 'single' or "double" quotes around the whole of it are taken
// off.
//
// It knows no stages and runs nothing: Parse is a function of the text alone.
package lang
