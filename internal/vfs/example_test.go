package vfs_test

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/parleyhq/parley/internal/vfs"
)

// Cutting the power at every call of a scenario, and looking at what the disk has when
// nothing, half or all of the unsynced changes survived.
func ExampleFaulty_CutPower() {
	scenario := func(fsys vfs.FS) error { return vfs.ReplaceFile(fsys, "meta", []byte("2")) }

	crashes := 0
	for cut := int64(0); ; cut++ {
		disk := vfs.NewMem()
		if err := vfs.ReplaceFile(disk, "meta", []byte("1")); err != nil {
			fmt.Println(err)
		}
		fsys := vfs.NewFaulty(disk)
		fsys.CutPower(cut)
		err := scenario(fsys)
		for _, percent := range []int{0, 50, 100} {
			after := disk.CrashClone(percent, rand.New(rand.NewPCG(uint64(cut), 0)))
			content, readErr := vfs.ReadFile(after, "meta", 1<<10)
			if got := string(content); readErr != nil || (got != "2" && (got != "1" || err == nil)) {
				fmt.Printf("cut at %d, %d %%: %q, %v\n", cut, percent, got, readErr)
			}
			crashes++
		}
		if !errors.Is(err, vfs.ErrPowerCut) {
			break
		}
	}
	fmt.Println(crashes, "crashes, each left the old content or the new")
	// Output: 21 crashes, each left the old content or the new
}

// A disk that is slow for as long as the test likes, and then breaks.
func ExampleFaulty_Hook() {
	fsys := vfs.NewFaulty(vfs.NewMem(), vfs.Rule{Kind: vfs.OpSync, Path: "*.log", Skip: 1, Fault: vfs.FailSync(vfs.ErrInjected)})
	syncing, goOn := make(chan struct{}), make(chan struct{})
	fsys.Hook(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync {
			syncing <- struct{}{}
			<-goOn
		}
		return nil
	})
	f, err := fsys.Open("1.log", vfs.New)
	if err != nil {
		fmt.Println(err)
		return
	}
	done := make(chan error)
	for range 2 {
		go func() { done <- f.Sync() }()
		<-syncing
		fmt.Println("the disk is busy")
		goOn <- struct{}{}
		fmt.Println(<-done)
	}
	// Output:
	// the disk is busy
	// <nil>
	// the disk is busy
	// sync 1.log: vfs: injected fault
}
