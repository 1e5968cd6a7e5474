// Package jq compiles jq programs for pipes, with github.com/itchyny/gojq. A program
// gets an event's data and gives any number of values.
//
// A program is code: it can loop. It is stopped after a time between two of its
// steps, and its results are bounded in number. What one step makes by putting values
// together (+, *, texts with values in them, add, join, flatten, transpose, tojson,
// formats) is bounded by MaxSize, and what a regular expression costs by its size and
// that of the text: operators and functions are exchanged for some that look first.
//
// Not bounded are the sum of what a program keeps within its time, and a step that
// only compares (==, sort, unique, contains) values which hold themselves many times
// over. Take programs only from those who may load the machine that much.
// It sees no variables of the environment, no files and no further input.
package jq
