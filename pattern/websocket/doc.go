// Package websocket is a strict RFC 6455 server for net/http, with
// permessage-deflate (RFC 7692), made for very many connections that are mostly
// quiet. It needs no log.
//
//	http.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
//		c, err := websocket.Upgrade(w, r, websocket.Options{})
//		if err != nil {
//			return // the client has been told
//		}
//		go c.Run(context.Background(), c.Write)
//	})
//
// # Promise
//
// What the two RFCs call an error ends the connection with the close code they
// name; what they leave open is bounded and documented. A message is delivered
// whole or not at all.
//
//	messages        in order, at most once; a connection remembers nothing
//	text            UTF-8, checked as it arrives: the first bad byte ends with 1007
//	                (a compressed message is checked when it is whole)
//	size            Options.MaxMessage, before and after inflating; else 1009
//	fragments       Options.MaxFragments; else 1008
//	memory          follows the bytes received, never a length the peer declares
//	idle connection its Conn and one goroutine: 3.3 KB of heap and stack, no buffer
//	slow reader     a write ends after Options.WriteTimeout, then the peer is dropped
//	slow sender     Options.MessageTimeout for a message, first byte to last; else 1008
//	ping            answered in order with its payload, before the next message
//	silent peer     Conn.KeepAlive, or Conn.Beat driven by one timing wheel for all,
//	                which watch over slow senders, too
//	closing         both close frames, half-close, no reset; Options.CloseTimeout at most
//	broadcast       NewFrame encodes and compresses once, all connections share the bytes
//	compression     never with context takeover, so no window is kept for a connection
//
// # Close codes
//
// A client learns from the code alone whether to come back: see Reconnect.
//
// # What it is not
//
// It is no client (but Header and Mask serve one), it does not fragment what it
// sends, it speaks HTTP/1.1 only, and it does not resume: what a client missed is
// the business of a log behind it.
package websocket
