using System.Text.RegularExpressions;

namespace Mooring.Benchmarks.Suite;

/// <summary>Sorts the stacks that <c>perf script</c> prints by whose work each sample was.</summary>
internal static partial class PerfSamples
{
    /// <summary>Libraries that work for whoever calls them; the caller is charged.</summary>
    private static readonly HashSet<string> Tools =
        ["System.Private.CoreLib", "System.Runtime", "System.Collections", "System.Collections.Concurrent", "System.Memory", "System.IO.Pipelines", "System.Threading"];

    private static readonly (string Call, string Part)[] Calls =
    [
        ("send", "kernel: send (on loopback with the receiver's half)"),
        ("write", "kernel: send (on loopback with the receiver's half)"),
        ("recv", "kernel: receive"),
        ("epoll", "kernel: wait for sockets"),
        ("futex", "kernel: wake and park threads"),
        ("sched_yield", "kernel: wake and park threads"),
    ];

    /// <summary>Samples by part.</summary>
    public static Dictionary<string, long> Parts(string script)
    {
        var parts = new Dictionary<string, long>();
        foreach (var sample in script.Split("\n\n", StringSplitOptions.RemoveEmptyEntries))
        {
            var frames = Frame().Matches(sample);
            if (frames.Count > 0)
            {
                var part = PartOf(frames);
                parts[part] = parts.GetValueOrDefault(part) + 1;
            }
        }

        return parts;
    }

    private static string PartOf(MatchCollection frames)
    {
        var leaf = frames[0].Groups["module"].Value;
        if (leaf.Contains("kernel", StringComparison.Ordinal))
        {
            var inKernel = string.Join(' ', frames.Where(frame => frame.Groups["module"].Value.Contains("kernel", StringComparison.Ordinal))
                .Select(frame => frame.Groups["symbol"].Value).Where(symbol => symbol.Contains("sys_", StringComparison.Ordinal) || symbol.Contains("epoll", StringComparison.Ordinal)));
            return Calls.FirstOrDefault(call => inKernel.Contains(call.Call, StringComparison.Ordinal)).Part ?? "kernel: interrupts and scheduling";
        }

        if (leaf.Contains("libclrjit", StringComparison.Ordinal))
        {
            return "compiler";
        }

        if (leaf.Contains("libcoreclr", StringComparison.Ordinal) || leaf.Contains("libclrgc", StringComparison.Ordinal))
        {
            return "runtime: allocation and collection";
        }

        foreach (Match frame in frames)
        {
            var managed = Managed().Match(frame.Groups["symbol"].Value);
            if (managed.Success && !Tools.Contains(managed.Groups["assembly"].Value))
            {
                return Named(managed.Groups["assembly"].Value, managed.Groups["type"].Value);
            }
        }

        return "thread pool and what has no name";
    }

    private static string Named(string assembly, string type) =>
        assembly == "Mooring" && type.Split('.') is [_, var room, _, ..] ? $"**Mooring** {room}"
        : assembly.StartsWith("Microsoft.AspNetCore.Server.Kestrel", StringComparison.Ordinal) ? "Kestrel"
        : assembly.StartsWith("Microsoft.AspNetCore", StringComparison.Ordinal) ? "ASP.NET Core (hosting, routing, HTTP)"
        : assembly;

    [GeneratedRegex(@"^\s*[0-9a-f]+ (?<symbol>.*) \((?<module>[^()]*(\([^()]*\))?[^()]*)\)$", RegexOptions.Multiline | RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex Frame();

    [GeneratedRegex(@"\[(?<assembly>[\w.]+)\] (?<type>[\w.`]+)", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex Managed();
}
