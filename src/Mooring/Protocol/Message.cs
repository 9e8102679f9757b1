using System.Buffers;
using System.Buffers.Text;

namespace Mooring.Protocol;

/// <summary>A frame on its way out, with the few values that differ on the other leg. Writing it copies the frame once, around the edits.</summary>
internal struct Message(Frame frame)
{
    private Edit _first;
    private Edit _second;
    private Edit _third;
    private Edit _fourth;
    private int _count;

    public Frame Frame { get; } = frame;

    /// <summary>Length in bytes once written.</summary>
    public readonly int Length
    {
        get
        {
            var length = Frame.Bytes.Length;
            for (var i = 0; i < _count; i++)
            {
                length += At(i).Length - At(i).Where.Length;
            }

            return length;
        }
    }

    /// <summary>Puts <paramref name="with"/> where <paramref name="where"/> stands; a place without length is a point between two bytes. At most four edits; they must not overlap.</summary>
    public Message Replace(Slice where, ReadOnlyMemory<byte> with) => Add(new Edit(where, with, 0));

    public Message Replace(Slice where, long number) => Add(new Edit(where, default, number));

    /// <summary>Writes the message to <paramref name="target"/>, which has at least <see cref="Length"/> bytes.</summary>
    public readonly void CopyTo(Span<byte> target)
    {
        var source = Frame.Bytes;
        var from = 0;
        for (var i = 0; i < _count; i++)
        {
            var edit = At(i);
            source[from..edit.Where.Start].CopyTo(target);
            target = target[(edit.Where.Start - from)..];
            target = target[edit.Write(target)..];
            from = edit.Where.End;
        }

        source[from..].CopyTo(target);
    }

    public readonly byte[] ToArray()
    {
        var bytes = GC.AllocateUninitializedArray<byte>(Length);
        CopyTo(bytes);
        return bytes;
    }

    /// <summary>As <see cref="ToArray"/>, on one line: JSON has line ends only between tokens, where a space means the same.</summary>
    public readonly byte[] ToLine()
    {
        var bytes = ToArray();
        Flatten(bytes);
        return bytes;
    }

    public readonly void WriteTo(IBufferWriter<byte> writer)
    {
        var length = Length;
        CopyTo(writer.GetSpan(length)[..length]);
        writer.Advance(length);
    }

    /// <summary>Replaces line ends between tokens by spaces, in place.</summary>
    public static void Flatten(Span<byte> json)
    {
        while (json.IndexOfAny((byte)'\n', (byte)'\r') is >= 0 and var at)
        {
            json[at] = (byte)' ';
            json = json[(at + 1)..];
        }
    }

    private Message Add(Edit edit)
    {
        // Kept in the order of their places, so that writing is one walk.
        if (_count > 0 && edit.Where.Start < At(_count - 1).Where.Start)
        {
            var last = At(_count - 1);
            _count--;
            Add(edit);
            edit = last;
        }

        switch (_count++)
        {
            case 0:
                _first = edit;
                break;
            case 1:
                _second = edit;
                break;
            case 2:
                _third = edit;
                break;
            case 3:
                _fourth = edit;
                break;
            default:
                throw new InvalidOperationException("A message takes at most four edits.");
        }

        return this;
    }

    private readonly Edit At(int index) => index switch { 0 => _first, 1 => _second, 2 => _third, _ => _fourth };

    private readonly struct Edit(Slice where, ReadOnlyMemory<byte> bytes, long number)
    {
        public Slice Where { get; } = where;

        public int Length { get; } = bytes.IsEmpty ? Digits(number) : bytes.Length;

        public int Write(Span<byte> target)
        {
            if (!bytes.IsEmpty)
            {
                bytes.Span.CopyTo(target);
                return bytes.Length;
            }

            Utf8Formatter.TryFormat(number, target, out var written);
            return written;
        }

        private static int Digits(long number)
        {
            var digits = number < 0 ? 2 : 1;
            while ((number /= 10) != 0)
            {
                digits++;
            }

            return digits;
        }
    }
}
