// Package policy keeps named limits: definitions that people write in a
// configuration or put through an API, each with what it is applied to, what it
// counts by and what it does with what is too much. It applies them to requests
// through whatever door they came, and answers checks for programs that only ask.
//
// What is put through the API are events in the stream [Stream], written by
// compare-and-append and followed by every node, so that they survive a restart
// and hold everywhere. The counts themselves are each node's own and begin anew
// with it, unless a [Sharing] says where they are counted for all nodes together:
// packages sharded and valkey have such places.
//
// A [Registry] starts nothing; Load must be called first, and Run should be
// running.
package policy
