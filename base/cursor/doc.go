// Package cursor seals a reader's place in every stream that it reads into one
// opaque token, and opens it again. The same token resumes a reader through
// every door that has cursors, so it is the only thing a client must keep.
//
// A token is base64url without padding of
//
//	format    1 byte    1 = plain, 2 = signed
//	key       1 byte    which key signed it; signed tokens only
//	marks     stream number, as its distance from the one before; epoch; next
//	          position: three unsigned varints for each stream, by number
//	signature 8 bytes   HMAC-SHA-256 over namespace and all of the above, cut
//	          short; signed tokens only
//
// A place has exactly one token: whatever is not written as Seal would write it
// is refused. One stream takes at most 30 characters while its number is below
// 2¹⁴, its epoch below 2²⁸ and its position below 2⁴².
//
// The signature stops people from making places up. It grants nothing: who may
// read a stream is asked each time, with a cursor as without one, so a token may
// be handed on and be cached.
package cursor
