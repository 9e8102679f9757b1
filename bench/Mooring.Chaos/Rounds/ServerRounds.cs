using Mooring.Chaos.Clients;

namespace Mooring.Chaos.Rounds;

/// <summary>The server behind the gateway dies and comes back knowing nothing.</summary>
internal sealed class ServerKilledRound : Round
{
    public override string Name => "server-killed";

    public override string Title => "server over HTTP killed, back after 5 s, twice";

    public override string EventsMayBeLost => "what the server had not yet sent dies with it";

    public override async Task StrikeAsync(Field field, CancellationToken cancel)
    {
        for (var time = 0; time < (field.IsShort ? 1 : 2); time++)
        {
            await field.CallsUnderWayAsync(cancel);
            field.Evidence.Show("servers killed", await field.Stand.Web.KillAsync() ? 1 : 0);
            await field.WaitAsync(5, 2, cancel);
            await field.Stand.Web.StartAsync(cancel);
            await field.WaitAsync(12, 4, cancel);
            field.Evidence.Show("requests of sessions it does not know", await field.Stand.Web.OrderAsync("strangers", cancel));
        }
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
        field.Evidence.Show("requests of sessions it does not know", await field.Stand.Web.OrderAsync("strangers", cancel));
    }
}

/// <summary>The server takes everything and answers nothing, for longer than the deadline of a call.</summary>
internal sealed class ServerHangsRound : Round
{
    public override string Name => "server-hangs";

    public override string Title => "server hangs for 25 s, longer than the deadline of a call";

    public override async Task StrikeAsync(Field field, CancellationToken cancel)
    {
        await field.Stand.Web.OrderAsync("hang", cancel);
        await field.WaitAsync(25, 7, cancel);
        field.Evidence.Show("requests that hung", await field.Stand.Web.OrderAsync("resume", cancel));
        await field.WaitAsync(15, 3, cancel);
    }
}
