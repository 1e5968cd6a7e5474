// Package poll answers "what is new after this place?" over HTTP, at once (short
// polling) or as soon as there is something (long polling). It works over anything
// that can read forward from a place, and keeps nothing about its clients: the
// cursor that an answer carries is all that the next request needs.
//
// The promise: a client that always asks from the cursor it was given sees every
// event that its source keeps, in order, once.
//
//	                 guarantee                                   who keeps it
//	order            that of the source                          Source.Read
//	loss             none, between polls or while one is held     the cursor
//	duplicates       none, from the cursor of the last answer     the cursor
//	delay            short: the client's pace; long: none         Source.Wait
//	unchanged        304 without a body, by ETag                  SetHeader
//	a held request   ends after at most 55 s, with 200, an        Handler
//	                 empty list and the cursor to go on from
//	memory           one page of at most 1000 events a request    Page.Check
//
// A handler over a slice needs no more than
//
//	read := func(ctx context.Context, after string, limit int) (poll.Page, error) {
//		lines, next := chat.After(after, limit)
//		return poll.Page{Events: lines, Cursor: next}, nil
//	}
//	http.Handle("GET /messages", poll.HandlerFunc(read))
//
// and is asked with GET /messages?after=CURSOR, with &wait=25s to be held.
//
// What it is not: it knows no reader by name and pushes nothing. It has no lock and
// starts no goroutine.
package poll
