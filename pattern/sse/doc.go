// Package sse speaks server-sent events, the text/event-stream format of the
// WHATWG HTML standard (section 9.2), from both ends and without a log: an
// append-style encoder, a Writer over any http.ResponseWriter, a Reader that
// parses a stream and a Client that does what a browser's EventSource does.
//
// The promise: what Send is given, Next returns — every byte of it, or an error
// before anything was sent.
//
//	                 guarantee                                    who keeps it
//	order            as sent, on one stream                       HTTP
//	loss             none while connected; after a break the      id + Last-Event-ID,
//	                 source goes on from LastEventID              by the source
//	duplicates       none on one stream; after a break as the     the source
//	                 source resumes
//	data             UTF-8 without CR, refused otherwise          AppendData
//	slow reader      a write ends after WriteTimeout (5 s)        Writer
//	idle proxies     a heartbeat every 25 s                       Writer.Pump
//	storms           back-off with jitter, reset only by a        Client
//	                 connection that lasted
//	memory           one line and one event's data, ≤ 1 MiB       Reader
//
// A handler that streams progress or the tokens of a model needs no more than
//
//	func progress(w http.ResponseWriter, r *http.Request) {
//		out, err := sse.NewWriter(w, r, sse.WriterOptions{})
//		if err != nil {
//			return
//		}
//		for token := range generate(r.Context()) {
//			if out.Send(sse.Message{Data: []byte(token)}) != nil {
//				return
//			}
//		}
//	}
//
// What it is not: it stores nothing, so a stream that must survive a break needs
// a source that can go on from an id. It has no lock and starts no goroutine.
package sse
