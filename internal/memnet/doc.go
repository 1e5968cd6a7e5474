// Package memnet is a network inside one process, for tests of what speaks over a
// net.Conn. It touches no socket, so a test in a testing/synctest bubble can run a
// whole client and server in fake time: every wait is on a channel, which the
// bubble understands. Both directions are buffered, with a bound, so that a peer
// that stops reading blocks its writer as TCP would, and deadlines work.
package memnet
