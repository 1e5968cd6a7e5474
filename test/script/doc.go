// Package script runs the command line as text scripts: each file of testdata is
// a session, with what it must print and how it must exit. A script may start
// servers of its own.
//
//	go test ./script -run /snapshot
package script
