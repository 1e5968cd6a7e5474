package main

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// install brings what is missing. Nothing is asked of a registry when everything
// is there.
func (b *bench) install(ctx context.Context) error {
	if missing := missingPackages(ctx); len(missing) > 0 {
		if err := b.command(ctx, b.root, "apt-get", "update", "-q"); err != nil {
			return err
		}
		args := append([]string{"install", "-q", "-y", "--no-install-recommends"}, missing...)
		if err := b.command(ctx, b.root, "apt-get", args...); err != nil {
			return err
		}
	}
	if b.current() {
		return nil
	}
	return b.command(ctx, filepath.Join(b.root, "test"), "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
}

// missingPackages are those of the distribution whose programs are not there.
func missingPackages(ctx context.Context) []string {
	var missing []string
	for _, p := range []struct {
		pkg  string
		test []string
	}{
		{"chromium", []string{"chromium", "--version"}},
		{"curl", []string{"curl", "--version"}},
		{"python3", []string{"/usr/bin/python3", "--version"}},
		{"python3-requests", []string{"/usr/bin/python3", "-c", "import requests"}},
		{"python3-websockets", []string{"/usr/bin/python3", "-c", "import websockets"}},
		{"nodejs", []string{"node", "--version"}},
		{"npm", []string{"npm", "--version"}},
		{"ffmpeg", []string{"ffmpeg", "-version"}},
		{"redis-server", []string{"redis-server", "--version"}},
		{"postgresql", []string{"sh", "-c", "ls /usr/lib/postgresql/*/bin/initdb && psql --version"}},
		{"gcc", []string{"gcc", "--version"}}, // for the race detector
		{"libc6-dev", []string{"test", "-e", "/usr/include/stdio.h"}},
	} {
		if exec.CommandContext(ctx, p.test[0], p.test[1:]...).Run() != nil {
			missing = append(missing, p.pkg)
		}
	}
	return missing
}

// current says whether the packages of npm are those of the lock file.
func (b *bench) current() bool {
	lock, err := os.Stat(filepath.Join(b.root, "test", "package-lock.json"))
	if err != nil {
		return false
	}
	done, err := os.Stat(filepath.Join(b.root, "test", "node_modules", ".package-lock.json"))
	return err == nil && !done.ModTime().Before(lock.ModTime())
}

func (b *bench) unit(ctx context.Context) error {
	if err := b.command(ctx, b.root, "go", "vet", "./..."); err != nil {
		return err
	}
	for _, module := range []string{"test", "examples/stream/sql"} {
		if err := b.command(ctx, filepath.Join(b.root, module), "go", "vet", "./..."); err != nil {
			return err
		}
	}
	return b.goTest(ctx, b.root, "-race", "-shuffle=on", "-timeout=300s", "./...")
}

// fuzzTime is what one target gets.
const fuzzTime = "700ms"

// fuzz runs the targets one by one: each takes all cores. Those of a package are
// built once.
func (b *bench) fuzz(ctx context.Context) error {
	packages, err := fuzzTargets(b.root)
	if err != nil {
		return err
	}
	if len(packages) == 0 {
		return fmt.Errorf("no fuzz target was found below %s", b.root)
	}
	dir, err := os.MkdirTemp("", "parley-fuzz")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	failed := 0
	for _, p := range packages {
		if err := b.fuzzPackage(ctx, p, dir, &failed); err != nil {
			return err
		}
	}
	if failed > 0 {
		b.failed, b.counted = b.failed+failed, true
		return fmt.Errorf("%w: %d", errTests, failed)
	}
	return nil
}

func (b *bench) fuzzPackage(ctx context.Context, p fuzzed, dir string, failed *int) error {
	binary := filepath.Join(dir, "fuzz.test")
	if err := b.command(ctx, b.root, "go", "test", "-c", "-fuzz=Fuzz", "-o", binary, p.pkg); err != nil {
		*failed++
		fmt.Printf("FAIL %s: %v\n", p.pkg, err)
		return ctx.Err()
	}
	for _, target := range p.targets {
		at := time.Now()
		out, err := b.fuzzOne(ctx, binary, p.pkg, target, dir)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			*failed++
			fmt.Printf("FAIL %s %s: %v\n%s", p.pkg, target, err, out)
			continue
		}
		b.passed++
		fmt.Printf("ok   %s %s %.1fs\n", p.pkg, target, time.Since(at).Seconds())
	}
	return nil
}

// fuzzOne gives one target its time. Go's fuzzing engine now and then reports
// the end of that time as a failure of the target, without an input: such a
// target gets its time again, and must then end well.
func (b *bench) fuzzOne(ctx context.Context, binary, pkg, target, dir string) (out []byte, err error) {
	for range 3 {
		cmd := b.start(ctx, filepath.Join(b.root, pkg), binary, "-test.run=^$", "-test.fuzz=^"+target+"$", "-test.fuzztime="+fuzzTime,
			"-test.parallel=2", "-test.timeout=60s", "-test.fuzzcachedir="+filepath.Join(dir, "cache", pkg))
		if out, err = cmd.CombinedOutput(); err == nil || !endOfTime(string(out)) {
			return out, err
		}
		fmt.Printf("again %s %s: the fuzzing engine ran over its own deadline\n", pkg, target)
	}
	return out, err
}

// endOfTime tells a failure that names nothing but the engine's deadline.
func endOfTime(out string) bool {
	return engineDeadline.MatchString(out) && !strings.Contains(out, "Failing input written")
}

var engineDeadline = regexp.MustCompile(`(?m)^--- FAIL: Fuzz\w+ \([0-9.]+s\)\n\s+context deadline exceeded\nFAIL$`)

// fuzzed is a package and its fuzz targets.
type fuzzed struct {
	pkg     string
	targets []string
}

var fuzzFunc = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)

func fuzzTargets(root string) ([]fuzzed, error) {
	var packages []fuzzed
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, _ := filepath.Rel(root, path)
		if d.IsDir() && below != "." && (slices.Contains([]string{"test", "bench", "sdk", "node_modules"}, d.Name()) || strings.HasPrefix(d.Name(), ".")) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range fuzzFunc.FindAllStringSubmatch(string(text), -1) {
			pkg := "./" + filepath.ToSlash(filepath.Dir(below))
			if n := len(packages); n == 0 || packages[n-1].pkg != pkg { // a folder's files come one after another
				packages = append(packages, fuzzed{pkg: pkg})
			}
			last := &packages[len(packages)-1]
			last.targets = append(last.targets, m[1])
		}
		return err
	})
	return packages, err
}

// crash kills servers, and then plants faults in the code: a test that does not
// find one is counted as a failure.
func (b *bench) crash(ctx context.Context) error {
	dir := filepath.Join(b.root, "test")
	err := b.goTest(ctx, dir, "-timeout=300s", "./crash/...")
	cmd := b.start(ctx, dir, "go", "run", "./mutate")
	cmd.Stderr = os.Stderr
	out, e := cmd.StdoutPipe()
	if e != nil {
		return e
	}
	if e := cmd.Start(); e != nil {
		return e
	}
	survived := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fmt.Println(lines.Text())
		switch {
		case strings.HasPrefix(lines.Text(), "found "):
			b.passed++
		case strings.HasPrefix(lines.Text(), "FAIL "):
			survived++
		}
	}
	if e := cmd.Wait(); e != nil || survived > 0 {
		b.failed += max(survived, 1)
		b.counted = true
		return fmt.Errorf("mutants: %w, %d were not found", errTests, survived)
	}
	return err
}

func (b *bench) script(ctx context.Context) error {
	return b.goTest(ctx, filepath.Join(b.root, "test"), "-timeout=300s", "./suite/...", "./script/...", "./pipe/...", "./examples/...")
}

func (b *bench) interop(ctx context.Context) error {
	if err := b.goTest(ctx, filepath.Join(b.root, "test"), "-timeout=500s", "./interop/..."); err != nil {
		return err
	}
	return b.goTest(ctx, filepath.Join(b.root, "test", "redis"), "-timeout=120s", "./...")
}

func (b *bench) cluster(ctx context.Context) error {
	return b.goTest(ctx, filepath.Join(b.root, "test", "cluster"), "-timeout=500s", "./...")
}

func (b *bench) browser(ctx context.Context) error {
	return b.goTest(ctx, filepath.Join(b.root, "test"), "-timeout=500s", "./browser/...")
}
