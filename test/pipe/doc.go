// Package pipe compares `parley pipe` with the GNU programs of this machine in the C
// locale: the same text, as it stands, goes to both.
package pipe
