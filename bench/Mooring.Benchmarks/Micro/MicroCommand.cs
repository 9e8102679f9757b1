using System.CommandLine;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;

namespace Mooring.Benchmarks.Micro;

/// <summary>The verb that runs BenchmarkDotNet.</summary>
internal static class MicroCommand
{
    public static Command Micro()
    {
        var arguments = new Argument<string[]>("arguments") { Arity = ArgumentArity.ZeroOrMore, Description = "For BenchmarkDotNet, after --." };
        var command = new Command("micro", "Time and allocated bytes of single steps of the hot path.") { arguments };
        command.SetAction(parsed =>
        {
            // In this process: a generated project would be built under the repository's rules and restored from its feeds.
            var config = ManualConfig.Create(DefaultConfig.Instance).AddJob(Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance));
            string[] given = parsed.GetValue(arguments) is { Length: > 0 } some ? some : ["--filter", "*"];
            BenchmarkSwitcher.FromAssembly(typeof(MicroCommand).Assembly).Run(given, config);
        });
        return command;
    }
}
