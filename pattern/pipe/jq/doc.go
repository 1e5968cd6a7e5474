// Package jq compiles jq programs for pipes, with github.com/itchyny/gojq. A program
// gets an event's data and gives any number of values.
//
// A program is code: it can loop. It is stopped after a time between two of its
// steps, and its results are bounded in number, but one step of it, such as tojson of
// a value that it has made of itself many times, is not interrupted, and its memory
// is not counted. Take programs only from those who may load the machine that much.
// It sees no variables of the environment, no files and no further input.
package jq
