// Renders charts with Helm itself. One JSON request per line on standard input, one JSON answer per line on standard
// output; the tests of the chart crate compare their own results with these answers.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/strvals"
)

type request struct {
	// Paths below the chart's folder, with contents in base64.
	Files     map[string]string `json:"files"`
	Values    string            `json:"values"`
	Name      string            `json:"name"`
	Namespace string            `json:"namespace"`
	Kube      string            `json:"kube"`
	APIs      []string          `json:"apis"`
	Upgrade   bool              `json:"upgrade"`
	Subnotes  bool              `json:"subnotes"`
	CRDs      bool              `json:"crds"`
	// Assignments as on Helm's command line, in the order in which Helm takes them.
	SetJSON    []string `json:"setJSON"`
	Set        []string `json:"set"`
	SetString  []string `json:"setString"`
	SetLiteral []string `json:"setLiteral"`
}

type answer struct {
	Manifest string `json:"manifest"`
	Notes    string `json:"notes"`
	Error    string `json:"error"`
}

func render(r request) (manifest, notes string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	var files []*loader.BufferedFile
	// Helm reads a folder in the order of its names.
	names := make([]string, 0, len(r.Files))
	for name := range r.Files {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		data, err := base64.StdEncoding.DecodeString(r.Files[name])
		if err != nil {
			return "", "", err
		}
		files = append(files, &loader.BufferedFile{Name: name, Data: data})
	}
	chart, err := loader.LoadFiles(files)
	if err != nil {
		return "", "", err
	}
	values, err := chartutil.ReadValues([]byte(r.Values))
	if err != nil {
		return "", "", err
	}
	if err := assign(r, values); err != nil {
		return "", "", err
	}
	if chart.Metadata.Type != "" && chart.Metadata.Type != "application" {
		return "", "", fmt.Errorf("%s charts are not installable", chart.Metadata.Type)
	}
	install := action.NewInstall(&action.Configuration{Log: func(string, ...interface{}) {}})
	install.ClientOnly = true
	install.DryRun = true
	install.Replace = true
	install.ReleaseName = r.Name
	install.Namespace = r.Namespace
	install.IsUpgrade = r.Upgrade
	install.SubNotes = r.Subnotes
	install.IncludeCRDs = r.CRDs
	install.APIVersions = chartutil.VersionSet(r.APIs)
	if r.Kube != "" {
		install.KubeVersion, err = chartutil.ParseKubeVersion(r.Kube)
		if err != nil {
			return "", "", err
		}
	}
	release, err := install.Run(chart, values)
	if err != nil {
		return "", "", err
	}
	var out strings.Builder
	fmt.Fprintln(&out, strings.TrimSpace(release.Manifest))
	for _, hook := range release.Hooks {
		fmt.Fprintf(&out, "---\n# Source: %s\n%s\n", hook.Path, hook.Manifest)
	}
	return out.String(), release.Info.Notes, nil
}

// assign does with a request's assignments what Helm does with those of its command line.
func assign(r request, values chartutil.Values) error {
	for _, line := range r.SetJSON {
		if err := strvals.ParseJSON(line, values); err != nil {
			return fmt.Errorf("failed parsing --set-json data %s", line)
		}
	}
	for _, line := range r.Set {
		if err := strvals.ParseInto(line, values); err != nil {
			return fmt.Errorf("failed parsing --set data: %w", err)
		}
	}
	for _, line := range r.SetString {
		if err := strvals.ParseIntoString(line, values); err != nil {
			return fmt.Errorf("failed parsing --set-string data: %w", err)
		}
	}
	for _, line := range r.SetLiteral {
		if err := strvals.ParseLiteralInto(line, values); err != nil {
			return fmt.Errorf("failed parsing --set-literal data: %w", err)
		}
	}
	return nil
}

// Some templates never end in Helm, and take all memory on their way. The caller starts another oracle.
const (
	patience  = 20 * time.Second
	maxMemory = 1 << 30
)

// watch ends this process when a question takes too long or too much memory; asked is when the one at hand came, in
// nanoseconds, and zero between questions.
func watch(asked *atomic.Int64) {
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}}
	for range time.Tick(50 * time.Millisecond) {
		metrics.Read(sample)
		since := asked.Load()
		late := since != 0 && time.Since(time.Unix(0, since)) > patience
		if late || sample[0].Value.Uint64() > maxMemory {
			os.Exit(3)
		}
	}
}

func main() {
	var asked atomic.Int64
	go watch(&asked)
	log.SetOutput(io.Discard)
	// Helm has no end for values that hold themselves; it should come before the machine's memory does.
	debug.SetMaxStack(128 << 20)
	// The compiler that built Helm is no property of a chart.
	chartutil.DefaultCapabilities.HelmVersion.GoVersion = ""
	scanner := bufio.NewScanner(os.Stdin)
	scanner.Buffer(nil, 64<<20)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for scanner.Scan() {
		var r request
		var a answer
		asked.Store(time.Now().UnixNano())
		err := json.Unmarshal(scanner.Bytes(), &r)
		if err == nil {
			a.Manifest, a.Notes, err = render(r)
		}
		if err != nil {
			a = answer{Error: err.Error()}
		}
		asked.Store(0)
		if err := out.Encode(a); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
