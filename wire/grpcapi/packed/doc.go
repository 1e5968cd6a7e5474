// Package packed reads and writes by hand the messages of parley.v1 that every job of
// a queue passes: the generated code makes several objects of each job, and copies its
// data.
//
// Each of its types is one message. What most of them hold, it has fields for; a Read
// that finds anything else in a message, or anything wrong, says so, and the message is
// the generated code's: so there is one place that tells what is wrong, and what is new
// in the protocol is nothing to this package.
package packed
