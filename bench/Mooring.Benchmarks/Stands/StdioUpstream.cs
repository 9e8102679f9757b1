namespace Mooring.Benchmarks.Stands;

/// <summary>The same fast server over stdio: one line in, one line out, on one thread.</summary>
internal static class StdioUpstream
{
    public static int Run()
    {
        using var input = Console.OpenStandardInput();
        using var output = Console.OpenStandardOutput();
        var buffer = new byte[64 << 10];
        var answer = new byte[64 << 10];
        var filled = 0;
        while (true)
        {
            var read = input.Read(buffer, filled, buffer.Length - filled);
            if (read == 0)
            {
                return 0;
            }

            filled += read;
            var start = 0;
            var length = 0;
            for (int end; (end = buffer.AsSpan(start, filled - start).IndexOf((byte)'\n')) >= 0; start += end + 1)
            {
                length += Answer(answer.AsSpan(length), buffer.AsSpan(start, end));
                if (length > answer.Length / 2)
                {
                    output.Write(answer, 0, length);
                    length = 0;
                }
            }

            // One write per read: lines that came together are answered together.
            output.Write(answer, 0, length);
            output.Flush();
            buffer.AsSpan(start, filled - start).CopyTo(buffer);
            filled -= start;
        }
    }

    private static int Answer(Span<byte> into, ReadOnlySpan<byte> message)
    {
        if (message.Trim((byte)'\r').IsEmpty)
        {
            return 0;
        }

        var envelope = Answers.Read(message);
        if (envelope.Id.IsEmpty || envelope.Method.IsEmpty)
        {
            return 0;
        }

        var length =
            envelope.Method.SequenceEqual("tools/call"u8) ? Answers.Echo(into, envelope.Id, Answers.Text(message, "\"text\":"u8))
            : envelope.Method.SequenceEqual("initialize"u8) ? Answers.Result(into, envelope.Id, Answers.Initialize)
            : envelope.Method.SequenceEqual("tools/list"u8) ? Answers.Result(into, envelope.Id, Answers.Tools)
            : envelope.Method.SequenceEqual("ping"u8) ? Answers.Result(into, envelope.Id, "{}"u8)
            : Answers.MethodNotFound(into, envelope.Id);
        return Answers.Put(into, length, "\n"u8);
    }
}
