import type { DiffView, FileDiffView } from '../api/generated';
import { count, t } from '../i18n';
import { parsePatch } from '../text/patch';

const SIGNS = { hunk: '', context: ' ', added: '+', deleted: '−' };

function FilePatch({ file }: { file: FileDiffView }) {
  const lines = file.patch ? parsePatch(file.patch) : [];
  if (lines.length === 0) return <p class="quiet">{t(file.binary ? 'files.binary' : 'diff.noText')}</p>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={file.new_path ?? file.old_path ?? ''}>
      <table class="diff">
        <tbody>
          {lines.map((line, index) => (
            <tr key={index} class={line.kind}>
              <td class="number">{line.before ?? ''}</td>
              <td class="number">{line.after ?? ''}</td>
              <td class="sign">{SIGNS[line.kind]}</td>
              <td class="code">{line.text}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What differs, file by file. */
export function Diff({ diff }: { diff: DiffView }) {
  const total = (pick: (file: FileDiffView) => number) => count(diff.files.reduce((sum, file) => sum + pick(file), 0));
  if (diff.files.length === 0) return <p>{t('diff.same')}</p>;
  return (
    <section>
      <p>
        {t('diff.summary', {
          files: count(diff.files.length),
          additions: total((file) => file.additions),
          deletions: total((file) => file.deletions),
        })}
      </p>
      {diff.truncated && <p class="notice">{t('diff.truncated')}</p>}
      {diff.files.map((file) => (
        <details key={`${file.old_path} ${file.new_path}`} class="file" open={diff.files.length <= 20}>
          <summary>
            <code>
              {file.status === 'renamed' || file.status === 'copied'
                ? `${file.old_path} → ${file.new_path}`
                : (file.new_path ?? file.old_path)}
            </code>
            <span class="quiet">{file.status}</span>
            <span class="added">+{file.additions}</span>
            <span class="deleted">−{file.deletions}</span>
          </summary>
          <FilePatch file={file} />
        </details>
      ))}
    </section>
  );
}
