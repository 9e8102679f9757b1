namespace Mooring.Stores.Sqlite;

/// <summary>The statements on replicas and their mailboxes. With one gateway on the file there is one replica at a time, and those that died before it.</summary>
internal static class ReplicaRows
{
    private static readonly TimeSpan KeysKept = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan NamesKept = TimeSpan.FromDays(1);

    public static bool Beat(SqliteDatabase database, (string Replica, string Info, DateTimeOffset Expires) beat)
    {
        using var save = database.Use("""
            insert into replicas (id, info, expires) values (?, ?, ?)
            on conflict (id) do update set info = excluded.info, expires = excluded.expires where taken_by is null
            """);
        return save.Bind(beat.Replica).Bind(beat.Info).Bind(beat.Expires).Run() > 0;
    }

    public static IReadOnlyList<ReplicaRecord> Find(SqliteDatabase database, DateTimeOffset now)
    {
        using var find = database.Use("select id, info, expires from replicas where taken_by is null order by id");
        var replicas = new List<ReplicaRecord>();
        while (find.Step())
        {
            replicas.Add(new ReplicaRecord(find.Text(0), find.Text(1), find.Time(2) <= now));
        }

        return replicas;
    }

    public static bool TakeOver(SqliteDatabase database, (string Dead, string By, DateTimeOffset Now) change)
    {
        using (var take = database.Use("""
            update replicas set taken_by = ?2
            where id = ?1 and id <> ?2 and ((taken_by is null and expires <= ?3) or taken_by = ?2)
                and exists (select 1 from replicas b where b.id = ?2 and b.taken_by is null)
            """))
        {
            if (take.Bind(change.Dead).Bind(change.By).Bind(change.Now).Run() == 0)
            {
                return false;
            }
        }

        using (var follow = database.Use("update replicas set taken_by = ?2 where taken_by = ?1"))
        {
            follow.Bind(change.Dead).Bind(change.By).Run();
        }

        foreach (var mail in Read(database, (change.Dead, 0, int.MaxValue)))
        {
            Post(database, (change.By, mail.Kind, mail.CallId, mail.Body));
        }

        using (var empty = database.Use("delete from mailbox where replica = ?"))
        {
            empty.Bind(change.Dead).Run();
        }

        HomeRows.ReleaseAll(database, change.Dead);
        using var forget = database.Use("delete from replicas where taken_by is not null and expires < ?");
        forget.Bind(change.Now - NamesKept).Run();
        return true;
    }

    public static IReadOnlyList<string> FindTakenOver(SqliteDatabase database, string by)
    {
        using var find = database.Use("select id from replicas where taken_by = ? order by id");
        find.Bind(by);
        var taken = new List<string>();
        while (find.Step())
        {
            taken.Add(find.Text(0));
        }

        return taken;
    }

    public static bool Remove(SqliteDatabase database, string replica)
    {
        using (var unread = database.Use("select 1 from mailbox where replica = ? and acknowledged is null"))
        {
            if (unread.Bind(replica).Step())
            {
                return false;
            }
        }

        using (var empty = database.Use("delete from mailbox where replica = ?"))
        {
            empty.Bind(replica).Run();
        }

        HomeRows.ReleaseAll(database, replica);
        using var remove = database.Use("delete from replicas where id = ?");
        remove.Bind(replica).Run();
        return true;
    }

    public static long? Post(SqliteDatabase database, (string To, string Kind, string CallId, ReadOnlyMemory<byte> Body) mail)
    {
        string to;
        long sequence;
        using (var find = database.Use("select id, last_sequence from replicas where taken_by is null and id = coalesce((select taken_by from replicas where id = ?1), ?1)"))
        {
            if (!find.Bind(mail.To).Step())
            {
                return null;
            }

            (to, sequence) = (find.Text(0), find.Number(1) + 1);
        }

        using (var known = database.Use("select sequence from mailbox where replica = ? and kind = ? and call_id = ?"))
        {
            if (known.Bind(to).Bind(mail.Kind).Bind(mail.CallId).Step())
            {
                return known.Number(0);
            }
        }

        using (var insert = database.Use("insert into mailbox (replica, sequence, kind, call_id, body) values (?, ?, ?, ?, ?)"))
        {
            insert.Bind(to).Bind(sequence).Bind(mail.Kind).Bind(mail.CallId).Bind(mail.Body.Span).Run();
        }

        using var count = database.Use("update replicas set last_sequence = ? where id = ?");
        count.Bind(sequence).Bind(to).Run();
        return sequence;
    }

    public static IReadOnlyList<MailRecord> Read(SqliteDatabase database, (string Replica, long After, int Limit) range)
    {
        using var read = database.Use("""
            select sequence, kind, call_id, body from mailbox
            where replica = ? and sequence > ? and acknowledged is null order by sequence limit ?
            """);
        read.Bind(range.Replica).Bind(range.After).Bind(range.Limit);
        var mails = new List<MailRecord>();
        while (read.Step())
        {
            mails.Add(new MailRecord(read.Number(0), read.Text(1), read.Text(2), read.Bytes(3)));
        }

        return mails;
    }

    public static bool Acknowledge(SqliteDatabase database, (string Replica, long UpTo, IReadOnlyList<long> Except, DateTimeOffset Now) change)
    {
        // Between those that stay.
        var after = 0L;
        foreach (var last in change.Except.Where(one => one <= change.UpTo).Order().Select(one => one - 1).Append(change.UpTo))
        {
            using var done = database.Use("update mailbox set acknowledged = ?, body = x'' where replica = ? and sequence > ? and sequence <= ? and acknowledged is null");
            done.Bind(change.Now).Bind(change.Replica).Bind(after).Bind(last).Run();
            after = last == long.MaxValue ? last : last + 1;
        }

        using (var forget = database.Use("delete from mailbox where replica = ? and acknowledged < ?"))
        {
            forget.Bind(change.Replica).Bind(change.Now - KeysKept).Run();
        }

        using var own = database.Use("select 1 from mailbox where replica = ? and sequence = ?");
        return own.Bind(change.Replica).Bind(change.UpTo).Step();
    }
}
