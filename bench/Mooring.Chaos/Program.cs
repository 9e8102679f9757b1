using Mooring.Chaos;
using Mooring.Chaos.Servers;

// The servers behind the gateways: started by the stand, and by the gateways themselves.
switch (args)
{
    case ["line-server", var ledgers]:
        return await LineServer.RunAsync(ledgers);
    case ["web-server", var port, var ledgers]:
        return await WebServer.RunAsync(int.Parse(port), ledgers);
    case ["stateless-server", var port, var ledgers]:
        return await StatelessServer.RunAsync(int.Parse(port), ledgers);
    default:
        return await ChaosCommand.RunAsync(args);
}
