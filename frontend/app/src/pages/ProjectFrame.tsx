import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';

import { call } from '../api/client';
import { t, type TextKey } from '../i18n';
import { People } from '../parts/People';
import { useCurrentInView } from '../parts/Tabs';
import { Trouble } from '../parts/Trouble';
import { Waiting } from '../parts/Waiting';
import { useLoaded } from '../state/loaded';
import { ProjectContext } from '../state/project';
import { visited } from '../state/recent';
import { href } from '../state/router';

const SECTIONS = [
  ['', 'project.overview'],
  ['files', 'project.files'],
  ['commits', 'project.commits'],
  ['branches', 'project.branches'],
  ['search', 'project.search'],
  ['jobs', 'project.jobs'],
  ['environments', 'project.environments'],
  ['storage', 'project.storage'],
  ['settings', 'project.settings'],
] as const satisfies readonly (readonly [string, TextKey])[];

/** Every page of a project: its name and sections above, the page below. */
export function ProjectFrame({
  slug,
  section,
  children,
}: {
  slug: string;
  section: string;
  children: ComponentChildren;
}) {
  const loaded = useLoaded(() => call('get_project', { path: { project: slug } }), slug);
  const project = loaded.value;
  const row = useCurrentInView(`${project?.slug} ${section}`);
  useEffect(() => {
    if (project) visited(project.slug);
  }, [project?.slug]);
  if (!project) {
    return (
      <main id="content">
        <h1>{slug}</h1>
        {loaded.loading ? <Waiting /> : <Trouble error={loaded.error} retry={loaded.reload} />}
      </main>
    );
  }
  return (
    <ProjectContext.Provider value={{ project, reload: loaded.reload }}>
      <nav ref={row} class="sections" aria-label={t('project.sections')}>
        <a class="project" href={href(['p', slug])}>
          {project.name}
        </a>
        {SECTIONS.map(([name, text]) => (
          <a
            key={name}
            href={href(name === '' ? ['p', slug] : ['p', slug, name])}
            aria-current={name === section ? 'page' : undefined}
          >
            {t(text)}
          </a>
        ))}
        <People />
      </nav>
      <main id="content">{children}</main>
    </ProjectContext.Provider>
  );
}
