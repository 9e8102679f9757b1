using Mooring.Chaos.Servers;
using Mooring.Chaos.Stands;

namespace Mooring.Chaos.Rounds;

/// <summary>The servers over HTTP behind the gateway die and come back knowing nothing.</summary>
internal sealed class ServerKilledRound : Round
{
    public override string Name => "server-killed";

    public override string Title => "servers over HTTP killed, back after 5 s, twice";

    public override bool ServersKeepTasks => false;

    public override async Task StrikeAsync(Field field, CancellationToken cancel)
    {
        var unsent = 0;
        for (var time = 0; time < (field.IsShort ? 1 : 2); time++)
        {
            await field.CallsUnderWayAsync(cancel);
            foreach (var server in field.Stand.Servers)
            {
                field.Evidence.Show("servers killed", await server.KillAsync() ? 1 : 0);
            }

            // While none lives that could send more: all that went with any so far.
            unsent = Notices.Unsent(Ledger.Read(field.Stand.Ledgers).Keys);
            await field.WaitAsync(5, 2, cancel);
            await Task.WhenAll(field.Stand.Servers.Select(server => server.StartAsync(cancel)));
            await field.WaitAsync(12, 4, cancel);
            field.Evidence.Show("requests of sessions it does not know", await field.Stand.Web.OrderAsync("strangers", cancel));
        }

        field.Evidence.Forgive(unsent, "notifications that died unsent");
    }
}

/// <summary>The server forgets all its sessions.</summary>
internal sealed class ServerForgetsRound : Round
{
    public override string Name => "server-forgets";

    public override string Title => "server forgets its sessions, three times";

    public override async Task StrikeAsync(Field field, CancellationToken cancel)
    {
        for (var time = 0; time < (field.IsShort ? 2 : 3); time++)
        {
            field.Evidence.Show("sessions forgotten", await field.Stand.Web.OrderAsync("forget", cancel));
            await field.WaitAsync(8, 3, cancel);
        }

        field.Evidence.Forgive(await field.Stand.Web.OrderAsync("unsent", cancel), "notifications forgotten unsent");
        field.Evidence.Show("left behind by the gateway", await field.Stand.Web.OrderAsync("untaken", cancel), atLeast: 0);
        field.Evidence.Show("requests of sessions it does not know", await field.Stand.Web.OrderAsync("strangers", cancel));
    }
}

/// <summary>The servers over HTTP take everything and answer nothing, for longer than the deadline of a call.</summary>
internal sealed class ServerHangsRound : Round
{
    public override string Name => "server-hangs";

    public override string Title => "servers over HTTP hang for 25 s, longer than the deadline of a call";

    /// <summary>What a client has as a task has no deadline; nothing but the hard cap ends what a server never answers.</summary>
    public override StandShape Shape => new(Replicas: 2) { Configure = (config, _) => config["calls"]!["hardCap"] = "20s" };

    public override async Task StrikeAsync(Field field, CancellationToken cancel)
    {
        foreach (var server in field.Stand.Servers)
        {
            await server.OrderAsync("hang", cancel);
        }

        await field.WaitAsync(25, 7, cancel);
        foreach (var server in field.Stand.Servers)
        {
            field.Evidence.Show("requests that hung", await server.OrderAsync("resume", cancel));
        }

        await field.WaitAsync(15, 3, cancel);
    }
}
