// The backup tools that bench/backup.mjs compares, each with the same verbs: full, incremental, restore into a directory, verify, bytes kept.
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Every tool that is installed. `run(file, args)` runs one as the server's user and throws when it fails; `own(dir)` makes a directory of his. */
export function peersIn({ root, binDir, dataDir, socketDir, port, dbkit, run, own }) {
  const empty = (name) => {
    rmSync(join(root, name), { recursive: true, force: true });
    return own(name);
  };
  const copies = (name, copy) => {
    let serial = 0;
    const newest = () => join(root, name, String(serial));
    return {
      name,
      repository: () => join(root, name),
      reset: () => {
        serial = 0;
        empty(name);
      },
      full: () => {
        serial += 1;
        copy(newest());
      },
      restore: (target) => run('cp', ['-a', newest(), target]),
      newest,
    };
  };

  const cp = copies('cp -a', (target) => run('cp', ['-a', dataDir, target]));
  const basebackup = copies('pg_basebackup -c fast', (target) =>
    run(join(binDir, 'pg_basebackup'), ['-h', socketDir, '-p', String(port), '-U', 'postgres', '-c', 'fast', '-X', 'fetch', '-D', target]),
  );
  basebackup.verify = () => run(join(binDir, 'pg_verifybackup'), [basebackup.newest()]);

  return [
    cp,
    basebackup,
    ...(existsSync('/usr/bin/pgbackrest') ? [backrest('pgBackRest', []), backrest('pgBackRest tuned', tuned)] : []),
    ...(newer ? [backrest('pgBackRest blocks', [...tuned, 'repo1-block=y', `cmd=${newer}`], newer)] : []),
    ...(existsSync('/usr/bin/barman') ? [barman()] : []),
    kit(),
  ];

  /** local-rsync with links: what has not changed is a hard link to the last backup's. */
  function barman() {
    const [home, conf] = [join(root, 'barman'), join(root, 'barman.conf')];
    const call = (...words) => run('barman', ['-q', '-c', conf, ...words]);
    const newest = () => readdirSync(join(home, 'bench/base')).sort().at(-1);
    const begin = () => {
      empty('barman');
      writeFileSync(
        conf,
        `[barman]\nbarman_home=${home}\nbarman_lock_directory=${home}\nbarman_user=postgres\nlog_file=${root}/barman-log/log\nimmediate_checkpoint=true\nreuse_backup=link\nparallel_jobs=2\n` +
          `[bench]\nconninfo=host=${socketDir} port=${port} user=postgres dbname=postgres\nbackup_method=local-rsync\narchiver=on\npath_prefix=${binDir}\n`,
      );
      empty('barman-log');
      // It takes no backup before it has seen WAL, and asks for no more than one segment.
      for (const part of ['bench', 'bench/incoming']) own(join('barman', part));
      const [segment] = readdirSync(join(dataDir, 'pg_wal'))
        .filter((name) => /^[0-9A-F]{24}$/.test(name))
        .sort();
      run('cp', [join(dataDir, 'pg_wal', segment), join(home, 'bench/incoming', segment)]);
      call('archive-wal', 'bench');
    };
    return {
      name: 'barman local-rsync',
      repository: () => home,
      reset: begin,
      full: () => call('backup', '--reuse-backup=off', 'bench'),
      incremental: () => call('backup', 'bench'),
      restore: (target) => call('recover', 'bench', newest(), target),
      archive: () => `cp %p ${home}/bench/incoming/%f`,
      archived: () => call('archive-wal', 'bench'),
    };
  }

  function backrest(name, options, program = 'pgbackrest') {
    const folder = name.replaceAll(' ', '-');
    const [stanza, conf] = ['bench', join(root, `${folder}.conf`)];
    const base = () => [`--config=${conf}`, `--stanza=${stanza}`];
    const begin = () => {
      const [repository, log, lock, spool] = ['', '-log', '-lock', '-spool'].map((suffix) => empty(folder + suffix));
      writeFileSync(
        conf,
        `[global]\nrepo1-path=${repository}\nlog-path=${log}\nlock-path=${lock}\nspool-path=${spool}\nlog-level-console=warn\nstart-fast=y\narchive-check=n\n${options.join('\n')}\n` +
          `[${stanza}]\npg1-path=${dataDir}\npg1-port=${port}\npg1-socket-path=${socketDir}\npg1-user=postgres\n`,
      );
      run(program, [...base(), 'stanza-create']);
    };
    return {
      name,
      repository: () => join(root, folder),
      reset: begin,
      full: () => run(program, [...base(), '--type=full', 'backup']),
      incremental: () => run(program, [...base(), '--type=incr', 'backup']),
      restore: (target) => {
        mkdirSync(target, { mode: 0o700 });
        own(target, true);
        run(program, [...base(), `--pg1-path=${target}`, '--archive-mode=off', '--type=immediate', '--target-action=promote', 'restore']);
      },
      verify: () => run(program, [...base(), 'verify']),
      archive: () => [program, ...base(), 'archive-push', '%p'].join(' '),
    };
  }

  function kit() {
    const folder = 'dbkit';
    const flags = () => ['--data-dir', dataDir, '--socket-dir', socketDir, '--port', String(port), '--bin-dir', binDir, '--quiet'];
    const places = () => [
      '--backup-dir',
      join(root, folder),
      '--state-dir',
      join(root, `${folder}-state`),
      '--log-dir',
      join(root, `${folder}-log`),
    ];
    const call = (...words) => run(process.execPath, [dbkit, ...words, ...flags(), ...places()]);
    return {
      name: 'dbkit',
      repository: () => join(root, folder),
      reset: () => {
        for (const suffix of ['', '-state', '-log']) empty(folder + suffix);
      },
      full: () => call('backup', 'create', '--full'),
      incremental: () => call('backup', 'create'),
      restore: (target) => call('backup', 'restore', 'latest', '--target', target, '--yes'),
      verify: () => call('backup', 'verify', 'latest'),
      newest: () =>
        join(
          root,
          folder,
          readdirSync(join(root, folder))
            .filter((name) => /^data_\d{8}_\d{6}$/.test(name))
            .sort()
            .at(-1),
        ),
    };
  }
}

/** A pgBackRest of 2.46 or later, which knows blocks: another one than the machine's may be named. */
const newer = process.env.PGBACKREST_BLOCKS;
const tuned = ['compress-type=zst', 'process-max=2', 'repo1-bundle=y'];
