using System.CommandLine;
using Mooring.Benchmarks.Stands;

namespace Mooring.Benchmarks;

/// <summary>Verbs that start something to measure with or against.</summary>
internal static class StandCommands
{
    private static readonly Option<int> Port = new("--port") { Required = true, Description = "Loopback port." };
    private static readonly Option<bool> Inline = new("--inline") { Description = "UnsafePreferInlineScheduling of the socket transport; the suite measures without." };

    public static Command Upstream()
    {
        var command = new Command("upstream", "The fast MCP server behind everything measured.") { Port };
        command.SetAction((parsed, _) => UpstreamServer.RunAsync(parsed.GetValue(Port)));
        return command;
    }

    public static Command Passthrough()
    {
        var to = new Option<string>("--to") { Required = true, Description = "URL of the server." };
        var command = new Command("passthrough", "Bare Kestrel and HttpMessageInvoker that copy and know nothing.") { Port, to, Inline };
        command.SetAction((parsed, _) => Stands.Passthrough.RunAsync(parsed.GetValue(Port), new Uri(parsed.GetValue(to)!), parsed.GetValue(Inline)));
        return command;
    }

    public static Command SseHold()
    {
        var beat = new Option<double>("--beat") { Description = "Seconds between two comments on each stream; 0 for none." };
        var queues = new Option<int?>("--queues") { Description = "IOQueueCount of the socket transport." };
        var command = new Command("sse-hold", "Bare Kestrel that holds event streams open.") { Port, beat, Inline, queues };
        command.SetAction((parsed, _) => Stands.SseHold.RunAsync(
            parsed.GetValue(Port), TimeSpan.FromSeconds(parsed.GetValue(beat)), parsed.GetValue(Inline), parsed.GetValue(queues)));
        return command;
    }

    public static Command SocketHold()
    {
        var beat = new Option<double>("--beat") { DefaultValueFactory = _ => 5, Description = "Seconds between two comments on each stream." };
        var command = new Command("socket-hold", "Plain sockets that hold event streams open: what the system itself takes.") { Port, beat };
        command.SetAction(parsed => Stands.SocketHold.Run(parsed.GetValue(Port), TimeSpan.FromSeconds(parsed.GetValue(beat))));
        return command;
    }

    /// <summary>For the help text; the program answers this verb before it parses anything.</summary>
    public static Command Stdio()
    {
        var command = new Command("stdio-upstream", "The fast MCP server over standard input and output.");
        command.SetAction(_ => StdioUpstream.Run());
        return command;
    }
}
