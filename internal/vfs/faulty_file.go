package vfs

// faultyFile is an open file of a Faulty. Size and Close go straight to the file below.
type faultyFile struct {
	File
	fs   *Faulty
	name string
}

func (f *faultyFile) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.fs.do(Op{Kind: OpRead, Name: f.name, Off: off, Len: len(p)}, func() (err error) {
		n, err = f.File.ReadAt(p, off)
		return err
	})
	return n, err
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	op := Op{Kind: OpWrite, Name: f.name, Off: off, Len: len(p)}
	fault, err := f.fs.arrive(op)
	switch {
	case err != nil:
		return 0, err
	case fault == nil:
		return f.write(p, off)
	case fault.lie:
		return len(p), nil
	}
	n, err := f.write(p[:min(fault.keep, len(p))], off)
	if err != nil {
		return n, err
	}
	if fault.hidden {
		n = 0
	}
	return n, pathError(op.Kind.String(), f.name, fault.err)
}

// write writes as much of p as the space left allows.
func (f *faultyFile) write(p []byte, off int64) (int, error) {
	size, err := f.File.Size()
	if err != nil {
		return 0, err
	}
	grow := max(0, off+int64(len(p))-size)
	got := f.fs.take(grow, false)
	fits := min(int64(len(p)), max(0, int64(len(p))-(grow-got)))
	n, err := f.File.WriteAt(p[:fits], off)
	if err == nil && n < len(p) {
		err = pathError(OpWrite.String(), f.name, ErrFull)
	}
	return n, err
}

func (f *faultyFile) Sync() error {
	op := Op{Kind: OpSync, Name: f.name}
	fault, err := f.fs.arrive(op)
	switch {
	case err != nil:
		return err
	case fault == nil:
		return f.File.Sync()
	case fault.lie:
		return nil
	}
	if lossy, ok := f.File.(interface{ dropUnsynced() }); ok && fault.drop {
		lossy.dropUnsynced()
	}
	return pathError(op.Kind.String(), f.name, fault.err)
}

// dropUnsynced lets a Faulty stand on another one.
func (f *faultyFile) dropUnsynced() {
	if lossy, ok := f.File.(interface{ dropUnsynced() }); ok {
		lossy.dropUnsynced()
	}
}

func (f *faultyFile) WriteBack(off, n int64) error {
	return f.fs.do(Op{Kind: OpWriteBack, Name: f.name, Off: off, Len: int(n)}, func() error { return WriteBack(f.File, off, n) })
}

func (f *faultyFile) Truncate(size int64) error {
	return f.grow(Op{Kind: OpTruncate, Name: f.name, Off: size}, f.File.Truncate)
}

func (f *faultyFile) Preallocate(size int64) error {
	return f.grow(Op{Kind: OpPreallocate, Name: f.name, Off: size}, f.File.Preallocate)
}

// grow runs a call that sets the size, if the space left allows.
func (f *faultyFile) grow(op Op, call func(size int64) error) error {
	return f.fs.do(op, func() error {
		size, err := f.File.Size()
		if err != nil {
			return err
		}
		want := max(0, op.Off-size)
		if f.fs.take(want, true) < want {
			return pathError(op.Kind.String(), f.name, ErrFull)
		}
		if err := call(op.Off); err != nil {
			f.fs.giveBack(want)
			return err
		}
		return nil
	})
}
