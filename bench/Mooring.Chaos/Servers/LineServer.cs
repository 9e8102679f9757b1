using System.Text.Json.Nodes;

namespace Mooring.Chaos.Servers;

/// <summary>The server on standard streams; gateways start one for each session. It ends with its input.</summary>
internal static class LineServer
{
    public static async Task<int> RunAsync(string ledgers)
    {
        using var ledger = new Ledger(ledgers);
        using var turn = new SemaphoreSlim(1);
        await using var output = new StreamWriter(Console.OpenStandardOutput()) { AutoFlush = true, NewLine = "\n" };
        using var input = new StreamReader(Console.OpenStandardInput());
        while (await input.ReadLineAsync() is { } line)
        {
            if (JsonNode.Parse(line) is JsonObject message && message["id"] is not null && (string?)message["method"] is { } method)
            {
                _ = AnswerAsync(method, message);
            }
        }

        return 0;

        async Task AnswerAsync(string method, JsonObject message)
        {
            if (method == "tools/call")
            {
                await Tools.ExecuteAsync(message, ledger, Say, Say, CancellationToken.None);
            }

            await SayAsync(Tools.Answer(message, Tools.Result(method, message)));
        }

        Task Say(JsonObject message) => SayAsync(message.ToJsonString());

        async Task SayAsync(string text)
        {
            await turn.WaitAsync();
            try
            {
                await output.WriteLineAsync(text);
            }
            finally
            {
                turn.Release();
            }
        }
    }
}
