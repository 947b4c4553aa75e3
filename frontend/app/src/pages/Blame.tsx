import { call } from '../api/client';
import type { BlameView, CommitView } from '../api/generated';
import { t } from '../i18n';
import { subject } from '../parts/CommitList';
import { FileHeader } from '../parts/FileHeader';
import { Moment } from '../parts/Moment';
import { Trouble } from '../parts/Trouble';
import { Waiting } from '../parts/Waiting';
import { useLoaded } from '../state/loaded';
import { useProject } from '../state/project';
import { here, href } from '../state/router';
import { textOf } from '../text/content';

function Lines({ slug, blame, lines }: { slug: string; blame: BlameView; lines: readonly string[] }) {
  const commits = new Map<string, CommitView>(blame.commits.map((commit) => [commit.id, commit]));
  return (
    <div class="sheet" tabIndex={0} role="region" aria-label={blame.path}>
      <table class="blame">
        <thead class="hidden">
          <tr>
            <th>{t('commits.title')}</th>
            <th>{t('blame.line')}</th>
            <th>{t('blame.text')}</th>
          </tr>
        </thead>
        {blame.ranges.map((range) => {
          const commit = commits.get(range.commit);
          return (
            <tbody key={range.line}>
              {lines.slice(range.line - 1, range.line - 1 + range.count).map((line, index) => (
                <tr key={index}>
                  {index === 0 && (
                    <td class="who" rowSpan={range.count}>
                      <a href={href(['p', slug, 'commits', range.commit])} title={commit?.message}>
                        {commit ? subject(commit) : range.commit.slice(0, 8)}
                      </a>
                      <span class="quiet">
                        {commit?.author.name} {commit && <Moment at={commit.author.at} />}
                      </span>
                    </td>
                  )}
                  <td class="number">{range.line + index}</td>
                  <td class="code">{line}</td>
                </tr>
              ))}
            </tbody>
          );
        })}
      </table>
    </div>
  );
}

/** Who wrote each line of a file, and in which commit. */
export function Blame() {
  const { project } = useProject();
  const { slug } = project;
  const branch = here.value.query.get('ref') ?? project.default_branch;
  const path = here.value.query.get('path') ?? '';
  const loaded = useLoaded(async () => {
    const at = { path: { project: slug }, query: { ref: branch, path } };
    const blame = await call('get_blame', at);
    const file = await call('get_file', { path: { project: slug }, query: { ref: blame.commit, path } });
    return { blame, text: textOf(file as ArrayBuffer) };
  }, `${slug} ${branch} ${path}`);
  return (
    <>
      <FileHeader branch={branch} path={path} page="blame" />
      <Trouble error={loaded.error} retry={loaded.reload} />
      {loaded.loading && !loaded.value && <Waiting />}
      {loaded.value &&
        (loaded.value.text === undefined ? (
          <p>{t('files.binary')}</p>
        ) : (
          <Lines slug={slug} blame={loaded.value.blame} lines={loaded.value.text.split('\n')} />
        ))}
    </>
  );
}
