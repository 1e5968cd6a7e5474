// Package unix has the stages that a shell user knows, over bytes and in this
// process: what GNU's programs do in the C locale, byte for byte.
//
//	plan, err := unix.Compile("cat file.txt | grep error | sort | uniq")
//	outcome, err := plan.Run(ctx, unix.IO{Out: os.Stdout})
//
// Kinds lists them with their options. What is not known is refused with a hint,
// never ignored; exec runs the program itself.
//
//	               guarantee                                     where it ends
//	bytes          the same output as GNU, whatever the input    binary input of grep: see below
//	memory         blocks of 128 KiB between stages; sort keeps  a single line is kept whole
//	               -S, and the rest in temporary files
//	temporary      have no name once they are open: they go      systems that cannot remove an
//	files          with the process, however it ends             open file remove it at the end
//	patterns       matched in time that grows with the line,     back-references are refused
//	               whatever the pattern
//	programs       end with the run, with all that they started  what leaves its process group
//
// Input with a NUL byte is binary to grep: the first line that would be passed from
// the block of up to 128 KiB with the first NUL on ends the stage, and a message
// says so. GNU's block is of another size.
package unix
