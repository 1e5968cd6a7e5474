// Package run starts blocking functions that belong together and stops them in
// reverse order, so that nothing loses what it still stands on: the doors stop
// before the patterns, the patterns before the log.
package run
