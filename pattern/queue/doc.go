// Package queue is the work queue: competing workers, of whom each job has one at
// a time. A worker leases a job, works it off and acks it; if it says that it
// failed, or says nothing in time, the job is tried again, and after too many
// attempts it is dead, with its history, until somebody redrives it.
//
//	q, err := queue.New(log, host, "emails", queue.Options{})
//	go q.Run(ctx)
//
//	q.Enqueue(ctx, []queue.Job{{Event: e, Priority: 5}}, queue.EnqueueOptions{})
//
//	w, err := queue.NewWorker(q, func(ctx context.Context, job *queue.Lease) (queue.Result, error) {
//		return nil, send(ctx, job.Event)
//	}, queue.WorkerOptions{Concurrency: 10})
//	err = w.Run(ctx)
//
// # What it guarantees
//
//	| what                            | how                                                       |
//	|---------------------------------|-----------------------------------------------------------|
//	| an enqueued job is not lost     | durable in the log before Enqueue returns; all jobs of    |
//	|                                 | one Enqueue, or none                                      |
//	| each job is run at least once   | until it is acked, buried, canceled, purged or dead       |
//	| a settled job never runs again  | settlements are durable before they are answered          |
//	| one worker at a time            | a lease; over when it expires, is settled, or the queue   |
//	|                                 | moves to another node                                     |
//	| who lost a lease settles        | tokens name owner, job and lease, and are sealed: stale,  |
//	| nothing                         | foreign, repeated and forged ones are refused             |
//	| order                           | higher priority first, then the older job; retried jobs   |
//	|                                 | keep their age; a lease does not wait for jobs that are   |
//	|                                 | on their way in                                           |
//	| order within a key              | one job of a key at a time, the older first; a job that   |
//	|                                 | is delayed, retried or leased holds up those behind it, a |
//	|                                 | dead one does not                                         |
//	| unique jobs                     | of those with one Unique, the first in the log is live;   |
//	|                                 | others are dropped until it is done or dead               |
//	| exact waking                    | a waiting Lease is answered at once on a new job, a nack, |
//	|                                 | the end of a delay or lease, a free place, a resume;      |
//	|                                 | deadlines are whole milliseconds; an idle queue has no    |
//	|                                 | timer                                                     |
//	| attempts are counted            | also that of a worker or node that died; only those that  |
//	|                                 | began in the last moment before a crash may be missing    |
//	| a result is there with its ack  | both are one commit, where one log holds both: AckWith    |
//	| who waits for a job's end costs | an entry in a list, no goroutine and no look at the log:  |
//	| nothing                         | Result                                                    |
//	| each due time of a schedule     | job and note are one commit; missed ones as the schedule  |
//	| gives one job                   | says; changes of clocks as Cron.Next says                 |
//	| each event of a topic that      | job and cursor are one commit: Settings.Feed              |
//	| feeds the queue gives one job   |                                                           |
//	| dead jobs are kept              | with reason and their 20 newest attempts; published at    |
//	|                                 | least once to the dead-letter topic                       |
//	| a caller finds what it enqueued | every look waits until the jobs stream is taken in        |
//	| memory                          | jobs that are ready, were never tried and have neither    |
//	|                                 | key nor Unique are ranges of positions: ten million of    |
//	|                                 | them take 0.4 MB, also with retries of their own. Others  |
//	|                                 | take about 100 bytes each, and 100 more with each attempt |
//	|                                 | that is remembered; 65,536 results take 5 MB              |
//	| disk                            | the jobs stream is trimmed below the oldest live job; if  |
//	|                                 | less than half of it is live, the oldest are copied to    |
//	|                                 | its head. A job's id stays                                |
//
// The queue is two streams in the log: the jobs, and the moves of a machine (see
// packages journal and shard) that one node at a time owns. Enqueue writes the
// jobs stream directly, on any node; the owner follows it.
//
// What a crash can do: a lease ends with its owner, so a job may be run a second
// time while its first worker is still at it; the first cannot settle it any
// more. Effects outside the log are the worker's to make repeatable; Lease.ID and
// the event's id are the same at every attempt. Once does it, as far as it can.
//
// # What it is not
//
// It is not publish-subscribe: a job goes to one worker, not to all. It is not
// replayable: a job that is done is gone (publish its result if it is needed). It
// does not run jobs exactly once; nothing can. Ranges need positions that follow
// evenly: over an engine that shares one sequence among many streams, each Enqueue
// is a range of its own, of 24 bytes.
package queue
