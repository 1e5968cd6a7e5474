// Package throttle limits how often something may happen, or how much of it
// may happen at once: to refuse what is too much ([Limiter.AllowN]), or to make
// it wait its turn ([Limiter.Wait]). It needs nothing but the standard library.
//
// A [Limit] says how much, a [Limiter] applies it to each of many keys, a
// [Rule] is the bare arithmetic for those who keep keys themselves. [TryAll]
// asks several limits together, [Bans] lock out those who do not listen, and a
// [Guard] is a ready set of limits for a login form and the like. HTTP lives in
// the package httpthrottle below.
//
// # Guarantees
//
// What a limit admits for one key at worst in any span of time that is as long as the
// window W, for a quota of L and a burst of b. [Limit.Worst] has the figure for any
// span, and property tests hold each algorithm to it.
//
//	algorithm        any window     state a key    good for
//	fixed-window     2L             16 B           billing periods; simple to explain
//	sliding-log      L              8 + 8·L B      a hard contract with a small L
//	sliding-counter  2L-1           16 B           L on average, smooth for even traffic
//	token-bucket     b-1+L          16 B           bursts; exact at any rate
//	leaky-meter      b-1+L          16 B           the same seen from the other side
//	leaky-queue      L              16 B           an even flow; the rest waits in line
//	gcra             b-1+L          8 B            millions of keys; rates up to 10⁷ a second
//	NewAtMost        L              8 B            a hard contract in one word, slower by b-1
//	concurrency      L at once      16 B           places inside, however often they change
//	adaptive         max at once    40 B           a server whose capacity nobody knows
//
// A refusal tells exactly when the same call would pass, changes nothing, and
// costs no memory for a key not seen before. A cost above what could ever pass
// is [Impossible], and a limit of zero [Closed]: neither pretends that waiting
// helps.
//
// # Keys
//
// Keys are kept as 128-bit hashes, seeded by chance in each process, in tables
// without pointers: 16 bytes and the state, at a load of 9/16 to 3/4. A key that
// time has restored takes no room for long. When a table is full no limited key is
// forgotten; see [Limiter] for what new ones get.
//
// # Time
//
// A limiter runs on the monotonic clock, so that steps of the wall clock do not
// reach it; while a machine sleeps, nothing refills. A Rule is told the time.
package throttle
