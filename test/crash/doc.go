// Package crash kills servers. A real process takes events from many writers over
// HTTP and gRPC and is ended with SIGKILL at random moments, also while it starts;
// what its successor on the same directory holds is then looked at from outside.
//
// What was acknowledged must be there, once, unchanged, at the position that was
// answered, and in its writer's order. What was not acknowledged may be there or
// not, but never a part of it; sent again under its key it is there once. Readers
// that come back with their cursors see every event once, in order.
//
// The workers of a queue are killed too, while jobs are in their hands: each job is
// worked on, and none again whose ack was answered.
//
// A pipe whose program never answers the same loses its server at random moments:
// each event is in its outputs once.
//
//	go test ./crash -v -run Queue -crash.jobs 100000
//	go test ./crash -v -crash.rounds 500 -crash.seed 7
package crash
