using System.CommandLine;
using Mooring.Benchmarks;
using Mooring.Benchmarks.Micro;
using Mooring.Benchmarks.Scaling;
using Mooring.Benchmarks.Stands;

// Started once per session by the gateways under test: nothing but the server may run.
if (args is ["stdio-upstream"])
{
    return StdioUpstream.Run();
}

var root = new RootCommand("Benchmarks of the gateway. eng/bench.sh runs all of them.")
{
    StandCommands.Upstream(), StandCommands.Passthrough(), StandCommands.SseHold(), StandCommands.SocketHold(), StandCommands.Stdio(),
    LoadCommands.Load(), LoadCommands.Hold(), SuiteCommand.Suite(), ScalingCommand.Scaling(), MicroCommand.Micro(),
};

// Long enough for the suite to stop what it started when it is interrupted.
return await root.Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromSeconds(60) });
