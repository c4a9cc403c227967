using System.Security.Cryptography;
using System.Text;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Time.Testing;
using Reeve.Server.Storage;
using Reeve.Server.Storage.Backups;

namespace Reeve.Server.Tests.Storage;

/// <summary>What a backup holds, and that nothing else is ever taken for one.</summary>
public sealed class BackupTests : IAsyncLifetime
{
    private const string Passphrase = "a passphrase of tests";

    private readonly string _folder = TestServer.NewFolder();

    private string Data => Path.Combine(_folder, "data");

    private string File1 => Path.Combine(_folder, "one.backup");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await using var server = await TestServer.StartAsync(folder: Data);
        Assert.Equal(200, (await server.Client.PostAsync(
            "/v1/agents/runs", """{"agent":"demo","input":"What is a hold?"}""")).Status);
    }

    public ValueTask DisposeAsync()
    {
        SqliteConnection.ClearAllPools();
        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public void Backup_WithKeys_HoldsDatabaseAndKeyForItsOwnerAlone()
    {
        var made = Write(new BackupOrder(Data, File1) { WithKeys = true });

        Assert.True(made.HasKeys);
        Assert.Equal(new FileInfo(File1).Length, made.Bytes);
        var restored = NewFolder();
        var manifest = BackupReader.Unpack(File1, null, restored, Cancellation);
        Assert.Equal(TestServer.StartTime.AddTicks(-TestServer.StartTime.Ticks % TimeSpan.TicksPerSecond),
            manifest.MadeAt);
        Assert.Equal("0001_first.sql", manifest.Schema[0]);
        Assert.Equal(File.ReadAllBytes(Path.Combine(Data, MasterKey.FileName)),
            File.ReadAllBytes(Path.Combine(restored, MasterKey.FileName)));
        Assert.Equal(Dump(Data), Dump(restored));
        Assert.All([File1, .. Directory.GetFiles(restored)], static path =>
            Assert.True(OperatingSystem.IsWindows()
                || File.GetUnixFileMode(path) == (UnixFileMode.UserRead | UnixFileMode.UserWrite), path));

        Assert.Empty(Directory.GetFiles(Data, "backup*"));
    }

    [Fact]
    public void Backup_WithoutKeys_LeavesTheKeyOut()
    {
        Assert.False(Write(new BackupOrder(Data, File1)).HasKeys);

        var restored = NewFolder();
        BackupReader.Unpack(File1, null, restored, Cancellation);
        Assert.Equal([DataFolder.DatabaseName], Directory.GetFiles(restored).Select(Path.GetFileName));
        Assert.DoesNotContain(File.ReadAllText(Path.Combine(Data, MasterKey.FileName)).Trim(),
            File.ReadAllText(File1, Encoding.Latin1), StringComparison.Ordinal);
    }

    [Fact]
    public void Backup_Encrypted_ShowsNothingAndOpensWithItsPassphraseAlone()
    {
        Assert.True(Write(new BackupOrder(Data, File1) { Passphrase = Passphrase }).HasKeys);

        var text = File.ReadAllText(File1, Encoding.Latin1);
        Assert.DoesNotContain("SQLite format", text, StringComparison.Ordinal);
        Assert.DoesNotContain("What is a hold", text, StringComparison.Ordinal);
        var restored = NewFolder();
        BackupReader.Unpack(File1, Passphrase, restored, Cancellation);
        Assert.Equal(Dump(Data), Dump(restored));
        AssertRefused(File1, Passphrase + ".", "The passphrase is not the one of");
        AssertRefused(File1, null, "is encrypted: give its passphrase");
    }

    [Theory]
    [InlineData(false, 500)]
    [InlineData(true, 500)]
    public void Backup_WithOneBitChanged_IsRefusedWhereverTheBitIs(bool isSealed, int places)
    {
        var whole = Make(isSealed);
        var ends = Enumerable.Range(0, 256).Concat(Enumerable.Range(whole.Length - 256, 256));
        var accepted = new List<int>();
        foreach (var (number, at) in ends.Concat(Scattered(places, whole.Length)).Index())
        {
            var bit = (byte)(1 << (number % 8));
            whole[at] ^= bit;
            if (IsAccepted(whole))
            {
                accepted.Add(at);
            }

            whole[at] ^= bit;
        }

        Assert.True(accepted.Count == 0, $"Changed and accepted: {string.Join(", ", accepted)}");
        Assert.True(IsAccepted(whole));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Backup_CutOffOrContinued_IsRefused(bool isSealed)
    {
        var whole = Make(isSealed);
        int[] lengths =
        [
            .. Enumerable.Range(1, 40).Select(short_ => whole.Length - short_),
            .. Scattered(100, whole.Length),
            .. Enumerable.Range(0, whole.Length / TarBlock.Length).Where(block => block % 16 == 0)
                .Select(static block => block * TarBlock.Length),
            .. Enumerable.Range(0, (whole.Length - BackupSeal.HeadLength) / SealedChunk)
                .Select(static chunk => BackupSeal.HeadLength + (chunk * SealedChunk)),
        ];

        Assert.DoesNotContain(lengths, length => IsAccepted(whole[..length]));
        Assert.False(IsAccepted([.. whole, 0]));
        Assert.False(IsAccepted([.. whole, .. whole]));
    }

    [Fact]
    public void Backup_WithChunksMovedDoubledOrOfAnother_IsRefused()
    {
        var (one, other) = (Make(isSealed: true), Make(isSealed: true, salt: 2));
        var chunks = one.AsSpan(BackupSeal.HeadLength).ToArray().Chunk(SealedChunk).ToList();
        var others = other.AsSpan(BackupSeal.HeadLength).ToArray().Chunk(SealedChunk).ToList();
        Assert.True(chunks.Count > 3);
        var head = one[..BackupSeal.HeadLength];

        Assert.True(IsAccepted([.. head, .. chunks.SelectMany(static chunk => chunk)]));
        Assert.False(IsAccepted([.. head, .. Swapped(chunks, 1, 2).SelectMany(static chunk => chunk)]));
        Assert.False(IsAccepted([.. head, .. chunks.Take(2).Concat(chunks.Skip(1)).SelectMany(static chunk => chunk)]));
        Assert.False(IsAccepted([.. head, .. chunks.Take(1).Concat(chunks.Skip(2)).SelectMany(static chunk => chunk)]));
        Assert.False(IsAccepted([.. head, .. others.Take(1).Concat(chunks.Skip(1)).SelectMany(static chunk => chunk)]));
        Assert.False(IsAccepted([.. other[..BackupSeal.HeadLength], .. chunks.SelectMany(static chunk => chunk)]));
    }

    /// <summary>The seal by itself, without the sums inside that would notice as well.</summary>
    [Fact]
    public void Seal_OfChunksMovedDoubledOrLeftOut_DoesNotOpen()
    {
        var content = RandomNumberGenerator.GetBytes(3 * SealingStream.ChunkBytes);
        var whole = Seal(content, salt: 1);
        var head = whole[..BackupSeal.HeadLength];
        var chunks = whole.AsSpan(BackupSeal.HeadLength).ToArray().Chunk(SealedChunk).ToList();
        Assert.Equal(3, chunks.Count); // The last is as long as the others.

        Assert.Equal(content, Opened(0, 1, 2));
        foreach (var order in (int[][])
            [[1, 0, 2], [0, 0, 1, 2], [0, 2], [1, 2], [2], [0, 1], [0], [], [0, 1, 2, 2]])
        {
            Assert.Throws<BackupException>(() => Opened(order));
        }

        byte[] Opened(params int[] order)
        {
            using var input = new MemoryStream([.. order.SelectMany(index => chunks[index])]);
            using var opening = new OpeningStream(input, BackupSeal.Open(Passphrase, head)!, "it");
            using var output = new MemoryStream();
            opening.CopyTo(output);
            return output.ToArray();
        }
    }

    [Fact]
    public void Backup_ThatNamesAnotherFile_WritesItNowhere()
    {
        using var bytes = new MemoryStream();
        var archive = new BackupArchiveWriter(bytes, TestServer.StartTime);
        archive.Add(BackupArchive.Manifest, Manifest().Write());
        archive.Add("../evil", "evil"u8);
        archive.Finish();
        File.WriteAllBytes(File1, bytes.ToArray());

        AssertRefused(File1, null, "was changed after the backup was made");
        Assert.False(File.Exists(Path.Combine(_folder, "evil")));
    }

    [Fact]
    public void Backup_OfANewerReeve_IsRefusedByName()
    {
        using var bytes = new MemoryStream();
        var archive = new BackupArchiveWriter(bytes, TestServer.StartTime);
        var manifest = Manifest() with { Schema = ["0001_first.sql", "0099_later.sql"] };
        archive.Add(BackupArchive.Manifest, manifest.Write());
        archive.Finish();
        File.WriteAllBytes(File1, bytes.ToArray());
        AssertRefused(File1, null, "was made by a newer Reeve (9.9.9; its schema has 0099_later.sql)");

        File.WriteAllBytes(File1, Replaced(bytes.ToArray(), "\"format_version\": 1", "\"format_version\": 2"));
        AssertRefused(File1, null, "in a format that this version does not know");

        var made = Encoding.ASCII.GetBytes("\"made_at\": \"2026-11-20T09:15:03Z\"");
        Assert.True(bytes.ToArray().AsSpan().IndexOf(made) > 0);
        File.WriteAllBytes(File1, Replaced(bytes.ToArray(), Encoding.ASCII.GetString(made), "\"made_at\": null"
            + new string(' ', made.Length - 15)));
        AssertRefused(File1, null, "was changed after the backup was made");
    }

    [Fact]
    public void Backup_OfADamagedDatabase_IsNotMade()
    {
        using (var file = new FileStream(DataFolder.DatabaseIn(Data), FileMode.Open))
        {
            file.Position = 4096 * 5;
            file.Write(RandomNumberGenerator.GetBytes(4096 * 10));
        }

        var error = Assert.Throws<BackupException>(() => Write(new BackupOrder(Data, File1)));

        Assert.Contains("damaged", error.Message + error.InnerException?.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_folder));
    }

    [Fact]
    public void Backup_WithAnotherKey_IsNotMade()
    {
        File.WriteAllText(Path.Combine(Data, MasterKey.FileName), Convert.ToBase64String(new byte[32]));

        var error = Assert.Throws<BackupException>(() => Write(new BackupOrder(Data, File1) { WithKeys = true }));

        Assert.StartsWith("master.key is not the key of this data", error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_folder));
    }

    [Fact]
    public void Backup_WithAnotherKeyInTheEnvironment_IsNotMade()
    {
        var order = new BackupOrder(Data, File1) { MasterKeyFromEnvironment = Convert.ToBase64String(new byte[32]) };

        var error = Assert.Throws<BackupException>(() => Write(order));

        Assert.StartsWith("REEVE_MASTER_KEY is not the key of this data", error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_folder));
        var key = File.ReadAllText(Path.Combine(Data, MasterKey.FileName)).Trim();
        Assert.False(Write(order with { MasterKeyFromEnvironment = key }).HasKeys);
    }

    [Fact]
    public void Backup_OntoAFileThatExists_IsRefusedAndKeepsIt()
    {
        File.WriteAllText(File1, "mine");

        var error = Assert.Throws<BackupException>(() => Write(new BackupOrder(Data, File1)));

        Assert.Contains("exists already", error.Message, StringComparison.Ordinal);
        Assert.Equal("mine", File.ReadAllText(File1));
    }

    [Fact]
    public void Restore_WhileSomethingIsInTheFolder_IsRefusedAndLeavesNothing()
    {
        var target = NewFolder();
        File.WriteAllText(Path.Combine(target, "mine"), "");
        Assert.Contains("is not empty", Assert.Throws<BackupException>(() => RestoreFolder.For(target)).Message,
            StringComparison.Ordinal);
        File.Delete(Path.Combine(target, "mine"));
        using (DataFolder.Open(target))
        {
            Assert.Contains("Another server is running",
                Assert.Throws<StartException>(() => RestoreFolder.For(target)).Message, StringComparison.Ordinal);
        }

        // Now it has a lock that nobody holds, as after a start that came to nothing.
        using (var restore = RestoreFolder.For(target))
        {
            File.WriteAllText(Path.Combine(restore.FolderPath, "restored"), "");
            restore.Complete();
        }

        Assert.True(File.Exists(Path.Combine(target, "restored")));
        Assert.Empty(Directory.GetDirectories(Path.GetDirectoryName(target)!, $".{Path.GetFileName(target)}*"));
    }

    [Fact]
    public void Restore_WhereItsPlaceIsALinkOrHoldsOtherThings_TouchesNone()
    {
        var target = Path.Combine(_folder, "target");
        var making = Path.Combine(_folder, ".target.restoring");
        var other = NewFolder();
        var mine = Path.Combine(other, "mine");
        File.WriteAllText(mine, "mine");
        Directory.CreateSymbolicLink(making, other);
        Assert.Contains("is a link", Assert.Throws<BackupException>(() => RestoreFolder.For(target)).Message,
            StringComparison.Ordinal);
        Directory.Delete(making);
        Assert.Equal([mine], Directory.GetFileSystemEntries(other));

        Directory.Move(other, making);
        Assert.Contains("holds mine", Assert.Throws<BackupException>(() => RestoreFolder.For(target)).Message,
            StringComparison.Ordinal);
        Assert.Equal("mine", File.ReadAllText(Path.Combine(making, "mine")));

        // What a restore that was killed left goes, and no other.
        File.Move(Path.Combine(making, "mine"), Path.Combine(making, DataFolder.DatabaseName));
        using var restore = RestoreFolder.For(target);
        Assert.Equal([DataFolder.LockName], Directory.GetFiles(restore.FolderPath).Select(Path.GetFileName));
    }

    [Fact]
    public void Restore_GivenUp_LeavesNothing()
    {
        var target = Path.Combine(_folder, "given-up");
        using (var restore = RestoreFolder.For(target))
        {
            File.WriteAllText(Path.Combine(restore.FolderPath, "half"), "");
        }

        Assert.Empty(Directory.GetFileSystemEntries(_folder, "*given-up*", new EnumerationOptions
        {
            AttributesToSkip = 0,
        }));
    }

    [Fact]
    public void TarBlock_OfALargeFile_IsReadAsWritten()
    {
        foreach (var bytes in new[] { 0, 1, 511, 512, (1L << 33) - 1, 1L << 33, 1L << 42 })
        {
            Assert.Equal(("reeve.db", bytes, 1_800_000_000L),
                TarBlock.Read(TarBlock.Header("reeve.db", bytes, 1_800_000_000)));
        }
    }

    private const int SealedChunk = SealingStream.ChunkBytes + SealingStream.TagLength;

    private static BackupManifest Manifest() => new()
    {
        ReeveVersion = "9.9.9",
        Schema = ["0001_first.sql"],
        MadeAt = TestServer.StartTime,
    };

    private static BackupMade Write(BackupOrder order) =>
        new BackupWriter(new FakeTimeProvider(TestServer.StartTime), "0.1.0").Write(order, Cancellation);

    /// <summary>A backup's bytes; a sealed one with a key that is cheap to derive, or the tests took hours.</summary>
    private byte[] Make(bool isSealed, byte salt = 1)
    {
        Write(new BackupOrder(Data, File1) { WithKeys = true });
        var plain = File.ReadAllBytes(File1);
        File.Delete(File1);
        return isSealed ? Seal(plain, salt) : plain;
    }

    private static byte[] Seal(byte[] content, byte salt)
    {
        using var bytes = new MemoryStream();
        var seal = BackupSeal.Make(
            Passphrase, Enumerable.Repeat(salt, BackupSeal.SaltLength).ToArray(), memoryKibibytes: 8, passes: 1);
        bytes.Write(seal.Head);
        using var sealing = new SealingStream(bytes, seal);
        sealing.Write(content);
        sealing.Finish();
        return bytes.ToArray();
    }

    private bool IsAccepted(byte[] bytes)
    {
        var path = Path.Combine(_folder, "tried.backup");
        File.WriteAllBytes(path, bytes);
        var folder = NewFolder();
        try
        {
            BackupReader.Unpack(path, Passphrase, folder, Cancellation);
            return true;
        }
        catch (BackupException)
        {
            return false; // Anything else is an error of the test, and of the reader.
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private void AssertRefused(string file, string? passphrase, string sentence)
    {
        var error = Assert.Throws<BackupException>(
            () => BackupReader.Unpack(file, passphrase, NewFolder(), Cancellation));
        Assert.Contains(sentence, error.Message, StringComparison.Ordinal);
    }

    private string NewFolder()
    {
        var folder = Path.Combine(_folder, Path.GetRandomFileName());
        Directory.CreateDirectory(folder);
        return folder;
    }

    // Spread over the whole, and the same in every run.
    private static IEnumerable<int> Scattered(int count, int below) =>
        Enumerable.Range(1, count).Select(number => (int)(number * 1_000_003L % below));

    private static List<byte[]> Swapped(List<byte[]> chunks, int one, int other)
    {
        var swapped = chunks.ToList();
        (swapped[one], swapped[other]) = (swapped[other], swapped[one]);
        return swapped;
    }

    private static byte[] Replaced(byte[] bytes, string from, string to) =>
        Encoding.Latin1.GetBytes(Encoding.Latin1.GetString(bytes).Replace(from, to, StringComparison.Ordinal));

    private static string Dump(string folder) => Database.ReadOnce(DataFolder.DatabaseIn(folder), static session =>
        string.Join('\n', session.List("SELECT run_id || seq || hex(hash) || hex(payload) FROM run_events ORDER BY 1",
            static row => row.GetString(0))
            .Concat(session.List("SELECT id || document FROM receipts ORDER BY 1", static row => row.GetString(0)))
            .Concat(session.List("SELECT id || balance FROM ledger_entries ORDER BY 1",
                static row => row.GetString(0)))));
}
